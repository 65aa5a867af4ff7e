package agent

import (
	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/report"
	"github.com/ratchetd/ratchet/executor"
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
