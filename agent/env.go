package agent

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/store"
)

// env is what expressions see of this device.
func (a *Agent) env() map[string]any {
	return map[string]any{"facts": json.RawMessage(a.facts()), "health": a.health.Load()}
}

// judging bounds the time in which an expression is judged outside a step.
func (a *Agent) judging() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 2*time.Second)
}

// check runs one diagnostic check.
func (a *Agent) check(ctx context.Context, c json.RawMessage) error {
	return a.checker().Check(ctx, c)
}

// checkCheck tells whether a check can be understood.
func checkCheck(c json.RawMessage) error {
	_, err := step.ParseCheck(c)
	return err
}

// prune bounds the history; what is forgotten is taken from the broker too.
func (a *Agent) prune(seen map[string]bool) error {
	n := a.link.current()
	if n == nil {
		return nil // whoever is forgotten could not be taken from the broker
	}
	forgotten, err := a.db.Prune(a.clock.stamp(), store.History{Seen: seen})
	for _, id := range forgotten {
		a.publish(n, a.dialect().Tell(dialect.Forgotten{ID: id}))
	}
	return err
}

// checker runs checks as this device can.
func (a *Agent) checker() step.Checker {
	return step.Checker{Broker: a.link.alive, Groups: a.groups, Log: a.log}
}

// policy is what the owner lets steps do; what is the agent's own is nobody's.
func (a *Agent) policy() step.Policy {
	c := a.config.Load()
	own := []string{c.State, a.path, filepath.Join(filepath.Dir(a.path), "secrets"), filepath.Join(filepath.Dir(a.path), "keys.json"),
		c.Link.Key, c.Link.PasswordFile}
	if exe, err := os.Executable(); err == nil {
		own = append(own, exe)
	}
	return step.Policy{Protected: slices.DeleteFunc(own, func(p string) bool { return p == "" })}
}

// runtimeDir is a directory in RAM for what must not outlive this boot.
func runtimeDir(state string) string {
	name := "ratchet-" + executor.Digest([]byte(state))[:12]
	if os.Geteuid() == 0 {
		return filepath.Join("/run", name)
	}
	return filepath.Join(os.TempDir(), name)
}
