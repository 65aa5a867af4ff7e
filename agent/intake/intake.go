// Package intake decides. Everything that makes an offer a job, or not, stands
// here: signature, audience, target, policy, window, expiry, rollout; and what is
// asked again when a job is about to begin. An offer leaves it as the first Record,
// durable, or as a refusal. It runs nothing.
package intake

import (
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/ratchetd/ratchet/agent/report"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/store"
)

// A Desk takes on what was decided. None of it blocks.
type Desk interface {
	// Take takes in a job that has just become durable. offered: it came over the
	// link, so its cancel may be behind it.
	Take(r executor.Record, offered bool)
	// Has reports whether the job is unfinished here.
	Has(key string) bool
	// Poke has waiting jobs looked at again.
	Poke()
	// End ends the job, if it runs, and has the others looked at again.
	End(key, reason string)
	// MakeRoom asks for what lets the journal forget something.
	MakeRoom()
	// Ask asks the job's service for its document, which comes as an offer; it
	// reports whether there was a connection.
	Ask(executor.Record) bool
}

// An Intake takes offers and cancels. Make it with New and set the exported fields
// before it is used.
type Intake struct {
	Judge
	Journal store.Journal
	Desk    Desk
	Report  *report.Reporter
	// Raise and Clear tell an operator what he has to know.
	Raise func(name, severity, why string)
	Clear func(name string)
	Web   *http.Client // for documents that lie elsewhere; nil is one of their own
	Log   *slog.Logger

	renewals  renewals
	documents documents
	cancels   cancels
}

// New is an Intake that has taken nothing yet.
func New() *Intake {
	return &Intake{documents: documents{limiter: newLimiter(), arriving: map[string]*arriving{}}}
}

// maxCancels bounds those that are remembered in RAM.
const maxCancels = 256

// cancels are those that the journal could not take: they work from RAM, and are
// journaled when it can.
type cancels struct {
	mu    sync.Mutex
	early map[string]time.Time // by the Record's key: when it was signed
}

// remember keeps a cancel that the journal could not take.
func (c *cancels) remember(key string, signed time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.early == nil {
		c.early = map[string]time.Time{}
	}
	if len(c.early) < maxCancels {
		c.early[key] = signed
	}
}

func (c *cancels) has(job executor.Record) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	signed, there := c.early[job.Key]
	return there && !executor.Outlives(job.Signed.Time, signed)
}

// Cancelled reports whether the job is to end, as the journal or RAM knows.
func (i *Intake) Cancelled(r executor.Record) bool {
	return i.DB.Cancelled(r.Key) || i.cancels.has(r)
}

// Retry hands the cancels in RAM to the journal, which works again.
func (i *Intake) Retry() {
	i.cancels.mu.Lock()
	early := i.cancels.early
	i.cancels.early = nil
	i.cancels.mu.Unlock()
	for key, signed := range early {
		if i.Journal.Cancel(key, signed) != nil {
			i.cancels.remember(key, signed)
		}
	}
}

// Forget drops what RAM knows of a job that is final.
func (i *Intake) Forget(key string) { i.renewals.forget(key) }
