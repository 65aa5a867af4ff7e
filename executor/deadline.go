package executor

import (
	"context"
	"fmt"
	"time"
)

const (
	grace       = 20 * time.Second // what a step has to end when the agent is stopped
	undoTimeout = 10 * time.Minute // of one attempt at an Undo
)

// timeout is the cause with which a context ends an attempt that took too long.
type timeout struct {
	whose string
	after time.Duration
}

func (t timeout) Error() string { return fmt.Sprintf("%stimed out after %s", t.whose, t.after) }

// limits is ctx with the deadlines of the step and of the job, and with the grace
// of an agent that is being stopped.
func (w *walk) limits(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, unstop := w.untilStopped(ctx, grace)
	undo := []context.CancelFunc{unstop}
	if d := time.Duration(w.step().Timeout); d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, d, timeout{after: d})
		undo = append(undo, cancel)
	}
	if d := time.Duration(w.r.Job.Timeout); d > 0 && w.r.At.Phase == Forward {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, d-time.Duration(w.r.Ran), timeout{whose: "the job ", after: d})
		undo = append(undo, cancel)
	}
	return ctx, func() {
		for _, f := range undo {
			f()
		}
	}
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
