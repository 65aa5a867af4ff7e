package sim

import (
	"maps"
	"testing"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/executor"
)

func TestTheSameSeedIsTheSameFleet(t *testing.T) {
	p, other := Plan{Devices: 200, Seed: 1}, Plan{Devices: 200, Seed: 2}
	one := p.share(10, "offline")
	if len(one) != 20 || !maps.Equal(one, p.share(10, "offline")) {
		t.Errorf("%d of 200 devices are the share of 10 %%", len(one))
	}
	if maps.Equal(one, other.share(10, "offline")) || maps.Equal(one, p.share(10, "slow")) {
		t.Error("another seed, or another fault, has the same devices")
	}
	if got, want := boardOf(1, "sim-00007"), boardOf(1, "sim-00007"); got.Board != want.Board || got.Network[0].MAC != want.Network[0].MAC {
		t.Errorf("got %v, then %v", got, want)
	}
	boards := map[string]int{}
	for i := range p.Devices {
		boards[boardOf(1, p.id(i)).Board.Arch]++
	}
	if len(boards) != len(models) {
		t.Errorf("of %d boards there are %v", len(models), boards)
	}
}

func TestWhatIsDoneTwiceIsCounted(t *testing.T) {
	d := &device{id: "sim-00000", truth: newTruth()}
	f := &Fleet{devices: []*device{d}}
	d.truth.done("j", "a")
	d.truth.done("j", "b")
	d.truth.ended(executor.Record{ID: "j", State: executor.Succeeded, Rev: 4})
	d.truth.ended(executor.Record{ID: "j", State: executor.Succeeded, Rev: 5}) // what was told, say
	if lost, doubled := f.compare("j", kept("sim-00000", "j", `{"state":"succeeded","rev":5}`)); lost != 0 || doubled != 0 {
		t.Errorf("got %d lost, %d doubled of a job that went well", lost, doubled)
	}
	if lost, _ := f.compare("j", kept("sim-00000", "j", `{"state":"running","rev":3}`)); lost != 1 {
		t.Error("an end that the broker does not have is not lost")
	}
	if lost, _ := f.compare("j", kept("sim-00001", "j", `{"state":"succeeded","rev":5}`)); lost != 1 {
		t.Error("a status that the broker does not have is not lost")
	}
	d.truth.done("j", "a")
	d.truth.ended(executor.Record{ID: "j", State: executor.Failed, Rev: 6})
	if _, doubled := f.compare("j", kept("sim-00000", "j", `{"state":"failed","rev":6}`)); doubled != 2 {
		t.Errorf("a step that was done again and a second end are %d", doubled)
	}
}

// kept is a broker that has one status.
func kept(device, job, status string) *fleet.Fleet {
	f := fleet.New()
	f.Apply(link.Message{Topic: dialect.Topic{Device: device, Part: "jobs", Name: job}, Payload: []byte(status)})
	return f
}
