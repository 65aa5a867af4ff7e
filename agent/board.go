package agent

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/check"
	"github.com/ratchetd/ratchet/store"
	"github.com/ratchetd/ratchet/telemetry"
)

// A board is this device as steps and the intake see it: it is the Device of both,
// and the intake's Service.
type board struct{ agent *Agent }

// Env is what expressions see.
func (b board) Env() map[string]any {
	a := b.agent
	return map[string]any{"facts": json.RawMessage(a.facts.JSON()), "health": a.health.Last(), "vars": a.config.Load().Vars}
}

// Secret reads one of the device's secrets.
func (b board) Secret(name string) (string, error) { return b.agent.secrets.Read(name) }

// Mask hides the device's secrets.
func (b board) Mask(text string) string { return b.agent.secrets.Hide(text) }

// Check runs one diagnostic check.
func (b board) Check(ctx context.Context, check json.RawMessage) error {
	return b.agent.checker().Check(ctx, check)
}

// Connect makes a fresh connection to the broker.
func (b board) Connect(ctx context.Context) error { return b.agent.link.Fresh(ctx) }

// Kinds are the kinds of steps that the device can run now.
func (b board) Kinds() executor.Kinds { return b.agent.Kinds() }

// Matches reports whether a target means the device.
func (b board) Matches(ctx context.Context, target string) (bool, error) {
	return b.agent.facts.Matches(ctx, target)
}

// Ask asks the service for a job's document.
func (b board) Ask(r executor.Record) bool {
	s := b.agent.link.Session()
	if s != nil {
		s.Send(b.agent.config.Load().Dialect().Tell(dialect.Ask{Record: r}))
	}
	return s != nil
}

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
		Probes: telemetry.Prober{TLS: &tls.Config{Time: a.clock.Now}}}
}

// watched is the agent as its watchdog sees it.
type watched struct{ agent *Agent }

// Committed returns once a commit that is under way has ended.
func (w watched) Committed() { w.agent.db.AwaitCommit() }

// Linking is since when a connection has been made or ended.
func (w watched) Linking() *time.Time { return w.agent.link.Making() }

// Summary is what systemctl status shows. It asks for all that a status says.
func (w watched) Summary() string {
	s := w.agent.status()
	how := "connected to " + s.Link.Broker
	if !s.Link.Connected {
		how = "not connected"
	}
	return fmt.Sprintf("STATUS=%s, unfinished jobs: %d", how, w.agent.queue.len())
}
