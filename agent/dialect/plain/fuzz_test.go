package plain

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

// FuzzReceive holds that no message makes the agent crash, and that whatever
// is made of one can be acted on without looking at the message again.
func FuzzReceive(f *testing.F) {
	for topic, payload := range map[string]string{
		"r/jobs/device/gw-1/a": `{"id":"a","steps":[{"name":"s","reboot":{}}]}`,
		"r/jobs/group/lab/a":   `{"job":"{\"id\":\"a\",\"steps\":[{\"name\":\"s\",\"reboot\":{}}]}","signature":"s","rollout":{"percent":5}}`,
		"r/jobs/all/a@b":       `{"id":"a@b","cancel":true,"expires":"2026-12-24T00:00:00Z"}`,
		"r/jobs/all/a":         `{"id":"a","\u0069d":"b"}`,
		"r/device/gw-1/state":  `{"online":true,"since":"2026-12-24T00:00:00Z"}`,
		"r/device/gw-1/jobs/a": `{"job":"b","state":"failed","rev":3,"steps":[{"result":[1]}]}`,
	} {
		f.Add(topic, []byte(payload))
	}
	p := Dialect{Root: "r", Device: "gw-1", Groups: []string{"lab"}}
	f.Fuzz(func(t *testing.T, topic string, payload []byte) {
		event := one(t, p.Receive(dialect.Message{Topic: topic, Payload: payload}))
		if again := one(t, p.Receive(dialect.Message{Topic: topic, Payload: payload})); errorless(event) != errorless(again) {
			t.Errorf("got %v, then %v", event, again)
		}
		id := topic[strings.LastIndex(topic, "/")+1:]
		switch e := event.(type) {
		case dialect.Offer:
			checkOffer(t, e, id)
		case dialect.Cancel:
			if e.ID != id || !dialect.Cancellable(id) || len(e.Text) == 0 {
				t.Errorf("got %+v on %q", e, topic)
			}
		case dialect.Told:
			if e.Status.Job != id || e.Status.Device != p.Device {
				t.Errorf("got %+v on %q", e, topic)
			}
		}
		if parsed, ok := dialect.ParseTopic("r", topic); ok && parsed.Below("r") != topic {
			t.Errorf("got %+v from %q", parsed, topic)
		}
	})
}

// one is what a message means in a protocol where it means one thing at most.
func one(t *testing.T, events []dialect.Event) dialect.Event {
	t.Helper()
	if len(events) > 1 {
		t.Fatalf("got %d events, want one at most", len(events))
	}
	for _, e := range events {
		return e
	}
	return nil
}

func errorless(e dialect.Event) string {
	if o, ok := e.(dialect.Offer); ok {
		return fmt.Sprint(o.ID, "\n", string(o.Text), o.Err)
	}
	return fmt.Sprintf("%T", e)
}

func checkOffer(t *testing.T, o dialect.Offer, id string) {
	if o.ID != id || o.Scope == "" {
		t.Errorf("got %+v under %q", o, id)
	}
	if o.Err != nil {
		return
	}
	if len(o.Text) > executor.MaxDocument || o.Rollout.Check() != nil {
		t.Errorf("got %d bytes for %+v", len(o.Text), o.Rollout)
	}
	if job, err := executor.Parse(o.Text); err == nil && job.ID != id {
		t.Errorf("got a good offer of %q, want an error: the topic says %q", job.ID, id)
	}
}
