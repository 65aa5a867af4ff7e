package step

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/process"
)

// agent is one run of the agent.
type agent struct {
	Boot  string `json:"boot,omitempty"`
	PID   int    `json:"pid,omitempty"`
	Start uint64 `json:"start,omitempty"`
}

func thisAgent(t *executor.Task) agent {
	self, _ := process.ReadStat(os.Getpid())
	return agent{Boot: t.Boot, PID: os.Getpid(), Start: self.Start}
}

// restartAgent restarts or reloads the agent itself. A restart is done when
// another run of the agent finds the mark of the one before it.
func (s *serving) restartAgent(ctx context.Context) error {
	if s.saved.Agent != (agent{}) && s.saved.Agent != thisAgent(s.t) {
		fmt.Fprintln(s.t.Output, "the agent was restarted")
		return nil
	}
	s.saved.Agent = thisAgent(s.t)
	if err := s.t.Save(&s.saved); err != nil {
		return err
	}
	argv, err := s.argv(s.with.Name, s.with.Action)
	if err != nil {
		return err
	}
	if s.systemd() {
		argv = slices.Insert(argv, 2, "--no-block")
	}
	if err := process.Detached(ctx, s.t, argv, nil); err != nil || s.with.Action == "reload" {
		return err
	}
	select {
	case <-s.t.Stopping:
		return executor.ErrStopped
	case <-ctx.Done():
		return fmt.Errorf("the agent was not restarted: %w", context.Cause(ctx))
	}
}
