package intake

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/facts"
	"github.com/ratchetd/ratchet/executor"
)

func TestARolloutReachesThoseItNamesAndItsShare(t *testing.T) {
	var c config.Current
	c.Store(&config.Config{Device: "gw-1", Tags: config.Values{"ring": "canary"}})
	f := &facts.Facts{Config: &c, Kinds: func() executor.Kinds { return nil }, Log: slog.New(slog.DiscardHandler)}
	j := Judge{Config: &c, Clock: &clock.Clock{}, Facts: f}
	for _, r := range []struct {
		name               string
		document, envelope *executor.Rollout
		in                 bool
	}{
		{"none", nil, nil, true},
		{"share too small", nil, &executor.Rollout{Percent: 1}, false},
		{"whole share", nil, &executor.Rollout{Percent: 100}, true},
		{"named", nil, &executor.Rollout{Where: `.tags.ring == "canary"`}, true},
		{"others named", nil, &executor.Rollout{Where: `.tags.ring == "slow"`}, false},
		{"others named, whole share", nil, &executor.Rollout{Percent: 100, Where: `.tags.ring == "slow"`}, true},
		{"fails on the facts", nil, &executor.Rollout{Where: `.tags.ring + 1 > 0`}, false},
		{"ceiling of the document", &executor.Rollout{Percent: 1}, &executor.Rollout{Where: "true"}, false},
		{"named by both", &executor.Rollout{Where: ".tags.ring"}, &executor.Rollout{Where: "true"}, true},
	} {
		err := j.meant(t.Context(), executor.Job{ID: "wifi", Rollout: r.document}, dialect.Offer{Scope: "all", Rollout: r.envelope})
		if in := err == nil; in != r.in || err != nil && !errors.Is(err, ErrNotForUs) {
			t.Errorf("%s: got %v, want the device in: %v", r.name, err, r.in)
		}
	}
}
