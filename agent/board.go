package agent

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"

	"github.com/ratchetd/ratchet/executor/step/check"
	"github.com/ratchetd/ratchet/store"
	"github.com/ratchetd/ratchet/telemetry"
)

// A board is this device as steps see it: the executor's Device.
type board struct{ agent *Agent }

// Env is what expressions see.
func (b board) Env() map[string]any {
	a := b.agent
	return map[string]any{"facts": json.RawMessage(a.facts.JSON()), "health": a.health.Last(), "vars": a.config.Load().Vars}
}

// Secret reads one of the device's secrets, if the owner lets jobs use it.
func (b board) Secret(name string) (string, error) {
	if err := b.agent.policy().Secret(name); err != nil {
		return "", err
	}
	return b.agent.secrets.Read(name)
}

// Mask hides the device's secrets.
func (b board) Mask(text string) string { return b.agent.secrets.Hide(text) }

// Check runs one diagnostic check.
func (b board) Check(ctx context.Context, check json.RawMessage) error {
	return b.agent.checker().Check(ctx, check)
}

// Connect makes a fresh connection to the broker.
func (b board) Connect(ctx context.Context) error { return b.agent.link.Fresh(ctx) }

// prune bounds the history; what is forgotten is taken from the broker too, so
// without a connection only that goes which nobody ever heard of. Where jobs are
// signed a clock that jumps ahead makes no id forgotten: set right again, it would
// let a broker bring the job out once more.
func (a *Agent) prune(seen map[string]bool) error {
	h := store.History{Seen: seen, Quiet: a.link.Session() == nil}
	if len(a.config.Load().Policy.Keys) > 0 {
		h.Past = a.clock.Floor()
	}
	forgotten, err := a.db.Prune(a.clock.Stamp(), h)
	for _, id := range forgotten {
		a.report.Forgotten(id)
	}
	return err
}

// checker runs checks as this device can: https is verified at a time that is
// not below the floor, as the broker is.
func (a *Agent) checker() check.Checker {
	return check.Checker{Broker: a.link.Reachable, Groups: a.groups, Log: a.log,
		Probes: telemetry.Prober{TLS: &tls.Config{Time: a.clock.Now}, Permit: a.policy().Reach}}
}

// summary is what systemctl status shows. It asks for all that a status says.
func (a *Agent) summary() string {
	s := a.status()
	how := "connected to " + s.Link.Broker
	if !s.Link.Connected {
		how = "not connected"
	}
	return fmt.Sprintf("STATUS=%s, unfinished jobs: %d", how, a.queue.len())
}
