package agent

import (
	"context"
	"os"
	"path/filepath"

	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/report"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/store"
)

// A Journal is what must be durable before anything follows from it.
type Journal = store.Journal

// A commit is how a Record becomes durable: the time floor goes with it, and once
// it is on disk the report is woken.
type commit struct {
	*store.DB
	clock  *clock.Clock
	report *report.Reporter
}

func (c commit) Put(r executor.Record) error {
	c.SetFloor(c.clock.Floor())
	if err := c.DB.Put(r); err != nil {
		return err
	}
	c.report.Waiting(r.Key, "")
	c.report.Wake()
	return nil
}

// mind starts the agent again when the journal's file has lost its place: all that
// it has in RAM was learned from that. What it is to tell of this is noted where it
// outlives the process.
func (a *Agent) mind(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-a.db.Lost():
	}
	a.log.Error("the journal's file was deleted, renamed, or another one lies in its place: the agent starts again, with a new journal")
	note := a.lostNote()
	_ = os.MkdirAll(filepath.Dir(note), 0o700) // a failure shows in the next line
	if err := safefile.WriteFile(note, "", 0o600); err != nil {
		a.log.Warn("no alert will tell of it", "err", err)
	}
	a.stop(ErrRestart)
	return nil
}

// foundLost raises what an agent before this one has noted.
func (a *Agent) foundLost() {
	if os.Remove(a.lostNote()) == nil {
		a.alerts.Raise("journal-broken", "critical", "the journal's file was deleted, renamed, or another one was put in its place while the agent ran")
	}
}

func (a *Agent) lostNote() string {
	return filepath.Join(config.RuntimeDir(a.config.Load().State), "lost")
}
