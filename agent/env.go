package agent

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor/step/check"
	"github.com/ratchetd/ratchet/store"
	"github.com/ratchetd/ratchet/telemetry"
)

// env is what expressions see of this device.
func (a *Agent) env() map[string]any {
	return map[string]any{"facts": json.RawMessage(a.facts()), "health": a.health.Load(), "vars": a.config.Load().Vars}
}

// judging bounds the time in which an expression is judged outside a step.
func (a *Agent) judging() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 2*time.Second)
}

// A board is the executor's Device: what steps may ask of this one.
type board struct{ agent *Agent }

func (b board) Env() map[string]any                { return b.agent.env() }
func (b board) Secret(name string) (string, error) { return b.agent.secrets.Read(name) }
func (b board) Mask(text string) string            { return b.agent.secrets.Hide(text) }
func (b board) Check(ctx context.Context, check json.RawMessage) error {
	return b.agent.checker().Check(ctx, check)
}
func (b board) Connect(ctx context.Context) error { return b.agent.link.fresh(ctx) }

// prune bounds the history; what is forgotten is taken from the broker too, so
// without a connection only that goes which nobody ever heard of. Where jobs are
// signed a clock that jumps ahead makes no id forgotten: set right again, it would
// let a broker bring the job out once more.
func (a *Agent) prune(seen map[string]bool) error {
	h := store.History{Seen: seen, Quiet: a.link.current() == nil}
	if len(a.config.Load().Policy.Keys) > 0 {
		h.Past = a.clock.Floor()
	}
	forgotten, err := a.db.Prune(a.clock.Stamp(), h)
	for _, id := range forgotten {
		a.told.say(word{messages: a.dialect().Tell(dialect.Forgotten{ID: id})})
	}
	return err
}

// checker runs checks as this device can: https is verified at a time that is
// not below the floor, as the broker is.
func (a *Agent) checker() check.Checker {
	return check.Checker{Broker: a.link.alive, Groups: a.groups, Log: a.log,
		Probes: telemetry.Prober{TLS: &tls.Config{Time: a.clock.Now}}}
}
