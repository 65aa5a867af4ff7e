package watchdog

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// A Loop is the sign of life of one loop that the agent depends on. The loop takes
// from Beat where it waits for something to do; one that hangs does not.
type Loop struct {
	beat  chan struct{}
	went  atomic.Uint64 // rises whenever the loop gets on
	waits atomic.Int64  // for answers, each of which has an end of its own
}

// NewLoop is that of a loop which is about to begin.
func NewLoop() *Loop { return &Loop{beat: make(chan struct{})} }

// Beat is to be taken from, and means nothing.
func (l *Loop) Beat() <-chan struct{} { return l.beat }

// Went notes that the loop got on.
func (l *Loop) Went() { l.went.Add(1) }

// Await notes that the loop waits for an answer, which has an end of its own, and
// returns what is to be called when it has it. On a slow link that takes its time,
// again and again.
func (l *Loop) Await() (over func()) {
	l.waits.Add(1)
	return func() { l.went.Add(1); l.waits.Add(-1) }
}

// alive reports whether the loop waits for something, or gets on within limit.
func (l *Loop) alive(ctx context.Context, limit time.Duration) bool {
	before := l.went.Load()
	if l.waits.Load() > 0 {
		return true
	}
	select {
	case l.beat <- struct{}{}:
		return true
	case <-ctx.Done():
		return true
	case <-time.After(limit):
	}
	return l.waits.Load() > 0 || l.went.Load() != before
}

// Work is the loop that runs jobs. Most of the time it waits for a step's kind,
// which is over soon after its context.
type Work struct {
	*Loop
	call atomic.Pointer[call]
}

// A call is what the loop that runs jobs waits for.
type call struct {
	outer *call
	late  atomic.Pointer[time.Time] // since when it should be over
}

func (c *call) due() { now := time.Now(); c.late.Store(&now) }

// Watch notes that something has been begun that is over soon after ctx, and
// returns what is to be called then. One may be begun within another: only the
// inmost counts, so a write that a cancel does not end is not late.
func (w *Work) Watch(ctx context.Context) (over func()) {
	c := &call{outer: w.call.Load()}
	stop := context.AfterFunc(ctx, c.due)
	w.call.Store(c)
	w.Went()
	return func() {
		stop()
		if c.outer != nil && c.outer.late.Load() != nil {
			c.outer.due() // it could not end before
		}
		w.call.Store(c.outer)
		w.Went()
	}
}

func (w *Work) alive(ctx context.Context, limit time.Duration) bool {
	return w.call.Load() != nil || w.Loop.alive(ctx, limit)
}

// late reports whether what a job waits for has outlived its own limit, or a cancel.
func (w *Work) late(limit time.Duration) error {
	c := w.call.Load()
	if c == nil {
		return nil
	}
	return late("a step should be over, and goes on", c.late.Load(), lateSteps*limit)
}

// late is an error for what has been under way for longer than limit.
func late(what string, since *time.Time, limit time.Duration) error {
	if since == nil || time.Since(*since) <= limit {
		return nil
	}
	return fmt.Errorf("%s for %s", what, time.Since(*since).Round(time.Second))
}
