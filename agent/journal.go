package agent

import (
	"time"

	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/report"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/store"
)

// A Journal is what of the store must be durable before anything follows from
// it. It is an interface so that tests can cut the power there.
type Journal interface {
	executor.Journal
	Accept(executor.Record) (store.Verdict, error)
	Cancel(id string, signed time.Time) error
	ReadBack([]store.Past) error
}

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
