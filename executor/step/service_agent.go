package step

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/ratchetd/ratchet/executor"
)

// isAgent tells whether a service or package is the agent itself.
func isAgent(name string) bool {
	return slices.Contains([]string{"ratchet", "ratchetd"}, strings.TrimSuffix(name, ".service"))
}

// agent is one run of the agent.
type agent struct {
	Boot  string `json:"boot,omitempty"`
	PID   int    `json:"pid,omitempty"`
	Start uint64 `json:"start,omitempty"`
}

func thisAgent(t *executor.Task) agent {
	self, _ := readStat(os.Getpid())
	return agent{Boot: t.Boot, PID: os.Getpid(), Start: self.start}
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
	if err := detached(ctx, s.t, argv, nil); err != nil || s.with.Action == "reload" {
		return err
	}
	select {
	case <-s.t.Stopping:
		return errStopped
	case <-ctx.Done():
		return fmt.Errorf("the agent was not restarted: %w", context.Cause(ctx))
	}
}

// detached runs a program that may end the agent, and so must not end with it.
// It is in no group file, has no parent-death signal and holds no pipe.
func detached(ctx context.Context, t *executor.Task, argv []string, env map[string]string) error {
	who, err := identify("")
	if err != nil {
		return err
	}
	cmd, err := newCommand(argv, environ(t, who, env), "")
	if err != nil {
		return err
	}
	said, err := ramFile()
	if err != nil {
		return err
	}
	defer said.Close()
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return startError(cmd.Path, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("%s: %w%s", strings.Join(argv, " "), err, quote(said))
		}
		fmt.Fprint(t.Output, strings.TrimPrefix(quote(said), ": "))
		return nil
	case <-t.Stopping:
		return errStopped
	case <-ctx.Done():
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
		return context.Cause(ctx)
	}
}
