package update

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/updater"
)

// swap makes the new binary the agent's: the old one keeps a second name, the
// new one takes the first in one rename, and the agent starts again.
func (u *updating) swap(ctx context.Context) error {
	if !u.state.Armed {
		if err := u.arm(); err != nil {
			return err
		}
	}
	staged := u.staged()
	rename := func() error { return safefile.Rename(staged, u.path) }
	if err := u.Files.Do("rename", rename, staged, u.path); err != nil {
		return fmt.Errorf("exchanging the agent's binary: %w", err)
	}
	if err := u.Files.SyncDir(filepath.Dir(u.path)); err != nil {
		return err
	}
	return u.restart(ctx)
}

// arm makes the way back before the way there.
func (u *updating) arm() error {
	if _, err := u.Files.Clone(u.path, updater.Old(u.path)); err != nil {
		return fmt.Errorf("keeping the old binary: %w", err)
	}
	// The start that follows is the first of three.
	if err := u.Files.Fill(updater.Trial(u.path), strings.NewReader("started\n")); err != nil {
		return err
	}
	if err := u.Files.SyncExisting(updater.Trial(u.path)); err != nil {
		return err
	}
	u.state.Armed = true
	return u.save()
}

// maxRestarts bounds how often one step starts the agent again: something else
// than the binary at its path may be what is started.
const maxAgentRestarts = 4

// restart ends this agent; what it has begun goes on in the next one.
func (u *updating) restart(ctx context.Context) error {
	u.state.Restarts++
	switch {
	case u.Restart == nil:
		return errors.New("this agent cannot start again")
	case u.state.Restarts > maxAgentRestarts:
		return fmt.Errorf("the agent was started again %d times, and what runs is still not %s: see what its service starts", maxAgentRestarts, u.path)
	}
	if err := u.t.SaveBeforeReboot(&u.state); err != nil {
		return err
	}
	if err := u.Restart(); err != nil {
		return err
	}
	select {
	case <-u.t.Stopping:
		return executor.ErrStopped
	case <-ctx.Done():
		return fmt.Errorf("the agent did not start again: %w", context.Cause(ctx))
	}
}

// PutBack makes the old binary the agent's again, and runs it.
func (u *updating) PutBack(ctx context.Context) error {
	sum, err := updater.Digest(u.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil || sum == u.state.To.SHA256 {
		old := updater.Old(u.path)
		was, err := safefile.Stat(old)
		if err == nil && was.Absent {
			err = errors.New("it is gone")
		}
		if err == nil {
			err = u.Files.PutBack(old, u.path, was.Attrs)
		}
		if err != nil {
			return fmt.Errorf("putting back the old binary: %w", err)
		}
	}
	if u.running == u.state.To.SHA256 {
		return u.restart(ctx)
	}
	return nil
}
