package agent

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

// A session that ends, a client that leaves or a stop comes in the middle of a
// decision: nothing was decided, so nobody hears that the job was refused, and it
// is accepted when it is offered again.
func TestAnOfferWhoseDecisionIsBrokenOffIsNotRefused(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	j := doc("j1", filepath.Join(d.dir, "ran"), "a")
	j["target"] = `.device == "gw-1"`
	text, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	o := dialect.Offer{ID: "j1", Scope: "device", Text: text}
	if err := d.intake.Offer(ended, o, true); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was broken off", err)
	}
	b.offer("device/gw-1", j)
	wantState(t, b.final("j1"), executor.Succeeded)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.said {
		if s := statusOf(string(p.Payload)); strings.HasSuffix(p.TopicName, "/jobs/j1") && s.State == executor.Rejected {
			t.Errorf("it was told: %s (%s)", s.State, s.Reason)
		}
	}
}
