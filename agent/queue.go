package agent

import (
	"cmp"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/ratchetd/ratchet/agent/link"
	"github.com/ratchetd/ratchet/executor"
)

// A queue holds the unfinished jobs in the order in which they are to run: what
// has begun first, then batch by batch, and within a batch by (created, id).
// Everything that comes between a connect and the quiet behind it is one batch,
// since a broker hands retained offers out in no order; later each offer is a
// batch of its own.
type queue struct {
	mu    sync.Mutex
	jobs  []queued
	batch int
	open  bool      // the batch takes more: what is in it does not begin yet
	since time.Time // when it was opened; no link holds jobs back for ever
	wake  chan struct{}
}

type queued struct {
	key, id string
	created time.Time
	batch   int
	begun   bool
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

// add takes a job in, in the place of one that has its key. fresh says that it was
// just offered: it waits for quiet.
func (q *queue) add(r executor.Record, fresh bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if fresh && !q.open {
		q.batch++
	}
	e := queued{r.Key, r.ID, r.Job.Created.Time, q.batch, r.State != executor.Queued}
	if !fresh && q.open {
		e.batch = q.batch - 1 // it waits for no quiet
	}
	if e.begun {
		e.batch = 0
	}
	q.jobs = slices.DeleteFunc(q.jobs, func(was queued) bool { return was.key == e.key })
	q.jobs = append(q.jobs, e)
	q.sort()
	q.signal()
}

// sort puts the jobs into their order; the lock is held.
func (q *queue) sort() {
	sort.SliceStable(q.jobs, func(i, j int) bool {
		a, b := q.jobs[i], q.jobs[j]
		if a.begun != b.begun {
			return a.begun
		}
		return cmp.Or(cmp.Compare(a.batch, b.batch), a.created.Compare(b.created), cmp.Compare(a.id, b.id)) < 0
	})
}

// hold opens a batch: from now on nothing newly offered begins until release.
func (q *queue) hold() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.open {
		q.open, q.since = true, time.Now()
		q.batch++
	}
}

// release lets the open batch begin.
func (q *queue) release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open = false
	q.signal()
}

// remove drops a job that is final.
func (q *queue) remove(key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.jobs = slices.DeleteFunc(q.jobs, func(e queued) bool { return e.key == key })
}

// begun notes that a job has begun and now goes before those that have not.
func (q *queue) begun(key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.IndexFunc(q.jobs, func(e queued) bool { return e.key == key }); i >= 0 {
		q.jobs[i].begun, q.jobs[i].batch = true, 0
		q.sort()
	}
}

// ready lists the jobs that may run now, first things first.
func (q *queue) ready() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	var keys []string
	for _, e := range q.jobs {
		if e.batch < q.batch || !q.open || time.Since(q.since) > link.SettleLimit {
			keys = append(keys, e.key)
		}
	}
	return keys
}

// poke wakes whoever waits for work: something that it judges by has changed.
func (q *queue) poke() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.signal()
}

// has reports whether a job is unfinished.
func (q *queue) has(key string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.ContainsFunc(q.jobs, func(e queued) bool { return e.key == key })
}

// len is how many jobs are unfinished.
func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.jobs)
}

// empty reports whether none is.
func (q *queue) empty() bool { return q.len() == 0 }

// signal wakes whoever waits for work; the lock is held.
func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
