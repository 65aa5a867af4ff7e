package fleet_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/executor"
)

const twoSteps = `"steps":[{"name":"one","command":{"argv":["true"]}},{"name":"two","command":{"argv":["true"]}}]`

// heard is a job that has taken these messages: topic and payload in turn.
func heard(t *testing.T, messages ...string) *fleet.Job {
	t.Helper()
	j := fleet.NewJob("j", false)
	for i := 0; i < len(messages); i += 2 {
		topic, ok := dialect.ParseTopic("r", "r/"+messages[i])
		if !ok {
			t.Fatalf("%s is no topic", messages[i])
		}
		j.Apply(link.Message{Topic: topic, Payload: []byte(messages[i+1])})
	}
	return j
}

func TestWatchExpectsWhomTheJobReaches(t *testing.T) {
	online := []string{"device/gw-1/state", `{"online":true}`,
		"device/gw-1/facts", `{"device":"gw-1","groups":["g"],"tags":{"site":"berlin"}}`}
	envelope := func(percent float64) string {
		e := dialect.Envelope{Job: `{"id":"j",` + twoSteps + `}`, Rollout: &executor.Rollout{Percent: percent}}
		return string(e.Payload())
	}
	for _, c := range []struct {
		name, topic, offer string
		want               bool
	}{
		{"its own", "jobs/device/gw-1/j", `{"id":"j",` + twoSteps + `}`, true},
		{"another's", "jobs/device/gw-2/j", `{"id":"j",` + twoSteps + `}`, false},
		{"its group's", "jobs/group/g/j", `{"id":"j",` + twoSteps + `}`, true},
		{"another group's", "jobs/group/h/j", `{"id":"j",` + twoSteps + `}`, false},
		{"everybody's", "jobs/all/j", `{"id":"j",` + twoSteps + `}`, true},
		{"target meets", "jobs/all/j", `{"id":"j","target":".tags.site == \"berlin\"",` + twoSteps + `}`, true},
		{"target misses", "jobs/all/j", `{"id":"j","target":".tags.site == \"paris\"",` + twoSteps + `}`, false},
		{"target fails and is rejected", "jobs/all/j", `{"id":"j","target":".tags[0]",` + twoSteps + `}`, true},
		{"no share", "jobs/all/j", envelope(0), false},
		{"whole share", "jobs/all/j", envelope(100), true},
		{"ceiling", "jobs/all/j", `{"id":"j","rollout":{"percent":0},` + twoSteps + `}`, false},
		{"late for all", "jobs/all/j", `{"id":"j","expires":"2020-01-01T00:00:00Z",` + twoSteps + `}`, false},
		{"late but its own is rejected", "jobs/device/gw-1/j", `{"id":"j","expires":"2020-01-01T00:00:00Z",` + twoSteps + `}`, true},
		{"audience without it is rejected", "jobs/all/j", `{"id":"j","audience":["device/x"],` + twoSteps + `}`, true},
		{"garbage is rejected", "jobs/all/j", `garbage`, true},
		{"a cancel", "jobs/all/j", `{"id":"j","cancel":true}`, false},
		{"cleared", "jobs/all/j", ``, false},
	} {
		j := heard(t, append(online, c.topic, c.offer)...)
		if got := j.Waits(j.Rows(time.Now())); got != c.want {
			t.Errorf("%s: waits = %v, want %v", c.name, got, c.want)
		}
	}
}

func TestFactsThatComeLateCount(t *testing.T) {
	j := heard(t, "jobs/group/g/j", `{"id":"j",`+twoSteps+`}`, "device/gw-1/state", `{"online":true}`)
	if j.Waits(j.Rows(time.Now())) {
		t.Error("waits for a device of unknown groups")
	}
	j.Apply(link.Message{Topic: dialect.Topic{Device: "gw-1", Part: "facts"}, Payload: []byte(`{"groups":["g"]}`)})
	if !j.Waits(j.Rows(time.Now())) {
		t.Error("does not wait for a device once its groups are known")
	}
}

func TestTheHighestRevCounts(t *testing.T) {
	status := func(rev int, state string) string { return fmt.Sprintf(`{"rev":%d,"state":%q}`, rev, state) }
	topic := "device/gw-1/jobs/j"
	for _, c := range []struct {
		name string
		told []string
		want executor.State
	}{
		{"higher", []string{status(1, "running"), status(2, "failed")}, executor.Failed},
		{"lower comes late", []string{status(3, "failed"), status(2, "running")}, executor.Failed},
		{"of equal ones the later", []string{status(3, "running"), status(3, "waiting")}, executor.Waiting},
		{"garbage between", []string{status(3, "running"), "garbage"}, executor.Running},
		{"pruned", []string{status(3, "running"), ""}, ""},
	} {
		var messages []string
		for _, s := range c.told {
			messages = append(messages, topic, s)
		}
		if got := heard(t, messages...).Device("gw-1").Jobs["j"].State; got != c.want {
			t.Errorf("%s: state %q, want %q", c.name, got, c.want)
		}
	}
}

func TestARejectionOfAnEarlierDocumentIsNoAnswer(t *testing.T) {
	now := `{"id":"j",` + twoSteps + `}`
	rejected := func(of string) string {
		text, _ := json.Marshal(dialect.JobStatus{State: executor.Rejected, Digest: executor.Digest([]byte(of))})
		return string(text)
	}
	for _, c := range []struct {
		name, of string
		want     bool
	}{{"this one", now, false}, {"an earlier one", "{}", true}} {
		j := heard(t, "jobs/all/j", now, "device/gw-1/state", `{"online":true}`, "device/gw-1/jobs/j", rejected(c.of))
		if got := j.Waits(j.Rows(time.Now())); got != c.want {
			t.Errorf("%s: waits = %v, want %v", c.name, got, c.want)
		}
	}
}
