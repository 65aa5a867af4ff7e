package fleet_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/executor"
)

// say lets device gw-1 report a job; an empty text takes the report away.
func say(f *fleet.Fleet, job, text string) bool {
	_, ok := f.Apply(link.Message{Topic: dialect.Topic{Device: "gw-1", Part: "jobs", Name: job}, Payload: []byte(text)})
	return ok
}

func TestAnHonestDeviceIsTakenWhole(t *testing.T) {
	f := fleet.New()
	for i := range 4096 { // as many ids as an agent keeps
		say(f, fmt.Sprintf("job-%d", i), `{"state":"succeeded","rev":9}`)
	}
	for i := range 40 { // its latest jobs are as long as a report can be
		step := `{"name":"s","state":"succeeded","result":{"checks":[{"a":{"b":[1,{"c":2}]}}]},"output":"` + strings.Repeat("x", 150) + `"}`
		say(f, fmt.Sprintf("long-%d", i), `{"state":"succeeded","rev":9,"steps":[`+strings.Repeat(step+",", executor.MaxSteps-1)+step+`]}`)
	}
	if got := len(f.Device("gw-1").Jobs); got != 4136 || len(f.LeftOut()) > 0 {
		t.Errorf("%d jobs are known, and %q, want 4136 and nothing left out", got, f.LeftOut())
	}
}

func TestRoomComesBackWhenAReportGoes(t *testing.T) {
	f := fleet.New()
	long := `{"state":"running","rev":1,"reason":"` + strings.Repeat("x", dialect.MaxStatus-100) + `"}`
	taken := 0
	for say(f, fmt.Sprintf("j%d", taken), long) {
		taken++
	}
	if taken < 100 || taken > 1000 {
		t.Errorf("%d long reports were taken, want the room for some hundreds", taken)
	}
	for range 2 * taken { // the same one again takes no more room
		if !say(f, "j0", long) {
			t.Fatal("a known job's report is left out")
		}
	}
	if say(f, "another", long) {
		t.Error("one more was taken")
	}
	if say(f, "j0", ""); !say(f, "another", long) {
		t.Error("the room of a report that went away is not used again")
	}
	if got := f.LeftOut(); len(got) != 2 || !strings.Contains(got[0], "the device's reports take more than 8 MB") {
		t.Errorf("got %q, want that two were left out", got)
	}
}

func TestOnlyTheFirstNotesAreKept(t *testing.T) {
	f := fleet.New()
	for i := range 1000 {
		say(f, fmt.Sprintf("j%d", i), strings.Repeat("[", 50))
	}
	got := f.LeftOut()
	if len(got) != 6 || got[0] != "left out: …/device/gw-1/jobs/j0: nests more than 32 deep" || got[5] != "left out: 995 more" {
		t.Errorf("got %q, want five and how many more", got)
	}
}

func TestBracketsInTextsDoNotNest(t *testing.T) {
	f := fleet.New()
	if !say(f, "j", `{"state":"running","reason":"`+strings.Repeat(`[{\"`, 100)+strings.Repeat(",", 1000)+`"}`) {
		t.Errorf("a text full of brackets is left out: %q", f.LeftOut())
	}
}

// Whatever comes on whatever topic, the fleet and a job on it stay askable.
func FuzzTake(f *testing.F) {
	for topic, payload := range map[string]string{
		"device/gw-1/state":      `{"online":true}`,
		"device/gw-1/facts":      `{"groups":["g"],"tags":{"a":"b"},"board":{"arch":"arm"}}`,
		"device/gw-1/jobs/j":     `{"state":"running","rev":1,"step":{"index":1,"of":-2,"progress":1e300},"steps":[null,{"interrupted":-1}]}`,
		"jobs/all/j":             `{"id":"j","target":".tags.a == \"b\"","steps":[{"name":"a","command":{"argv":["true"]}}]}`,
		"jobs/group/g/j":         `{"job":"{\"id\":\"j\",\"cancel\":true}","signature":"x","rollout":{"percent":1e9}}`,
		"jobs/device/gw-1/other": `[`,
	} {
		f.Add(topic, []byte(payload))
	}
	f.Fuzz(func(t *testing.T, topic string, payload []byte) {
		j := fleet.NewJob("j", true)
		for topic, payload := range map[string][]byte{topic: payload, "device/gw-1/facts": []byte(`{"groups":["g"]}`), "jobs/group/g/j": []byte(`{"id":"j","steps":[{"name":"a","command":{"argv":["true"]}}]}`)} {
			if at, ok := dialect.ParseTopic("r", "r/"+topic); ok {
				j.Apply(link.Message{Topic: at, Payload: payload})
			}
		}
		for _, r := range j.Rows(time.Now()) {
			if far := r.Fraction(); far < 0 || far > 1 || math.IsNaN(far) {
				t.Errorf("%s is %v far", r.Device, far)
			}
			_ = r.Cuts()
		}
		for _, d := range j.Devices() {
			_ = d.JobLines()
		}
		for _, l := range j.Fleet.JobLines() {
			_ = l.States.String()
		}
	})
}
