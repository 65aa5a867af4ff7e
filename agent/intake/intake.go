// Package intake decides. Everything that makes an offer a job, or not, stands
// here: signature, audience, target, policy, window, expiry, rollout; and what is
// asked again when a job is about to begin. An offer leaves it as the first Record,
// durable, or as a refusal. It runs nothing.
package intake

import (
	"log/slog"
	"net/http"
	"slices"
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

	deciding  sync.Mutex // one offer after another, whatever it came by
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
	early []early // oldest first
}

// early is a cancel that came before its job, or before its place in the journal.
type early struct {
	key    string // of the Record
	signed time.Time
}

// remember keeps a cancel that the journal could not take. Where there are too many
// the oldest makes room: a flood of them must not keep the next one out.
func (c *cancels) remember(key string, signed time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.early = slices.DeleteFunc(c.early, func(e early) bool { return e.key == key })
	c.early = append(c.early, early{key, signed})
	c.early = slices.Delete(c.early, 0, max(0, len(c.early)-maxCancels))
}

func (c *cancels) has(job executor.Record) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.early, func(e early) bool {
		return e.key == job.Key && !executor.Outlives(job.Signed.Time, e.signed)
	})
}

// Cancelled reports whether the job is to end, as the journal or RAM knows.
func (i *Intake) Cancelled(r executor.Record) bool {
	return i.DB.Cancelled(r.Key) || i.cancels.has(r)
}

// Retry hands the cancels in RAM to the journal, which works again.
func (i *Intake) Retry() {
	i.cancels.mu.Lock()
	waiting := i.cancels.early
	i.cancels.early = nil
	i.cancels.mu.Unlock()
	for _, e := range waiting {
		if i.Journal.Cancel(e.key, e.signed) != nil {
			i.cancels.remember(e.key, e.signed)
		}
	}
}

// Forget drops what RAM knows of a job that is final.
func (i *Intake) Forget(key string) { i.renewals.forget(key) }
