package executor

import (
	"cmp"
	"context"
	"time"
)

const (
	grace       = 20 * time.Second // what a step has to end when the agent is stopped
	undoTimeout = 10 * time.Minute // of one step's Undo, where the owner does not say
)

// limits is ctx with the deadlines of the step and of the walk, and with the grace
// of an agent that is being stopped.
func (w *walk) limits(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, unstop := w.untilStopped(ctx, grace)
	undo := []context.CancelFunc{unstop}
	if d := time.Duration(w.step().Timeout); d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, d, timeout{after: d})
		undo = append(undo, cancel)
	}
	if left, limited := w.left(); limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, left, timeout{whose: whose[w.r.At.Phase], after: w.limit()})
		undo = append(undo, cancel)
	}
	return ctx, func() {
		for _, f := range undo {
			f()
		}
	}
}

// whose time it is that a walk uses up.
var whose = map[Phase]string{Forward: "the job ", Back: "the walk back ", OnFailure: "onFailure "}

// limit is how long the walk may take, 0 where the job says nothing. Each of the
// three has the job's timeout for itself; the walk back has at least the time of one
// undo, for what is taken back in part is worse than what takes long.
func (w *walk) limit() time.Duration {
	d := time.Duration(w.r.Job.Timeout)
	if d > 0 && w.r.At.Phase == Back {
		d = max(d, w.maxUndo())
	}
	return d
}

// left is what is left of the walk's limit, if it has one; it may be negative.
func (w *walk) left() (left time.Duration, limited bool) {
	used := w.r.Ran
	if w.r.At.Phase != Forward {
		used = w.r.Walked
	}
	return w.limit() - time.Duration(used) - time.Since(w.mark), w.limit() > 0
}

// spent reports whether nothing is left of the walk's limit.
func (w *walk) spent() bool {
	left, limited := w.left()
	return limited && left <= 0
}

func (w *walk) maxUndo() time.Duration { return cmp.Or(w.MaxUndo, undoTimeout) }

// undoLimit is what is left for the Undo under the cursor, and what is to be said
// when that is over.
func (w *walk) undoLimit() (time.Duration, timeout) {
	own, late := w.maxUndo(), timeout{after: w.maxUndo()}
	if u := w.rec().Undo; u != nil {
		own -= time.Duration(u.Ran)
	}
	left, limited := w.left()
	if w.r.At.Phase != Back || !limited || own <= left+time.Second { // the first of several has the same limit
		return own, late
	}
	return left, timeout{whose: whose[Back], after: w.limit()}
}

// spend adds to r, which follows on the Record in hand, the running time since that
// was done last.
func (w *walk) spend(r Record) Record {
	now := time.Now()
	d := Duration(now.Sub(w.mark))
	w.mark = now
	r.Ran += d
	if r.At.Phase != Forward {
		r.Walked += d
	}
	return r
}

// untilStopped is ctx that also ends when grace has passed since the agent was
// asked to end.
func (w *walk) untilStopped(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-ctx.Done():
			return
		case <-w.Stopping:
		}
		select {
		case <-ctx.Done():
		case <-time.After(grace):
			cancel(ErrStopped)
		}
	}()
	return ctx, func() { cancel(nil) }
}
