package agent

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/intake"
	"github.com/ratchetd/ratchet/executor"
)

// A desk takes on what the intake has decided: it is its Desk.
type desk struct {
	agent   *Agent
	fetched atomic.Pointer[time.Time] // when all offers were fetched for room
}

// Take queues a job, or has the schedules look at one that recurs.
func (d *desk) Take(r executor.Record, offered bool) {
	if intake.Recurs(r) {
		d.agent.schedules.Poke()
	} else {
		d.agent.queueUp(r, offered)
	}
	d.agent.report.Wake()
}

// queueUp queues a job. One that will have to wait says so at once: its turn to be
// asked may come when another job that runs for hours is over.
func (a *Agent) queueUp(r executor.Record, offered bool) {
	if r.State == executor.Queued {
		if reason := a.intake.Foreseen(r); reason != "" {
			a.report.Waiting(r.Key, reason)
		}
	}
	a.queue.add(r, offered)
}

// Has reports whether the job is unfinished.
func (d *desk) Has(key string) bool { return d.agent.queue.has(key) }

// Poke has waiting jobs looked at again.
func (d *desk) Poke() { d.agent.queue.poke() }

// End ends the job, if it runs.
func (d *desk) End(key, reason string) {
	d.agent.running.cancel(key, executor.Cancel{Reason: reason})
	d.agent.queue.poke()
	d.agent.schedules.Poke()
}

// MakeRoom fetches all offers again, at most once an hour: an id can only be
// forgotten when a full subscribe did not bring its offer any more.
func (d *desk) MakeRoom() {
	if last := d.fetched.Load(); last == nil || time.Since(*last) > time.Hour {
		now := time.Now()
		d.fetched.Store(&now)
		d.agent.link.Restart()
	}
}

// Ask asks the service for a job's document.
func (d *desk) Ask(r executor.Record) bool {
	s := d.agent.link.Session()
	if s != nil {
		s.Send(d.agent.config.Load().Dialect().Tell(dialect.Ask{Record: r}))
	}
	return s != nil
}

// running is the job that runs, so that a cancel finds it.
type running struct {
	mu  sync.Mutex
	key string
	end context.CancelCauseFunc
}

func (r *running) set(key string, cancel context.CancelCauseFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.key, r.end = key, cancel
}

func (r *running) cancel(key string, cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.key == key && r.end != nil {
		r.end(cause)
	}
}

// endIf ends the job that runs, if over says so of its key.
func (r *running) endIf(over func(key string) bool, cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.end != nil && over(r.key) {
		r.end(cause)
	}
}
