package executor

import (
	"context"
	"errors"
	"time"
)

// A walk is one Run: the Record in hand, which may be ahead of the disk by what
// the next commit will carry.
type walk struct {
	*Executor
	key   string // r.Key, for any goroutine
	r     Record
	dirty bool      // r holds what is not on disk
	mark  time.Time // up to here the running time is in r
	pause time.Duration
}

// ErrStopped is Run's error when the agent was asked to end.
var ErrStopped = errors.New("the agent is stopping")

// next does whatever is under the cursor.
func (w *walk) next(ctx context.Context) error {
	if err := w.pauseBeforeRetry(ctx); err != nil {
		return err
	}
	if w.stopping() {
		return w.leave(ErrStopped)
	}
	if w.r.At.Undo {
		return w.undo(ctx)
	}
	if cause := context.Cause(ctx); cause != nil {
		return w.cancelled(cause)
	}
	if w.r.At.Phase == OnFailure && w.rec().Attempts == 0 && w.spent() {
		w.change(w.r.close(w.r.Verdict, w.r.Reason)) // the steps that are left are dropped
		return nil
	}
	ready, err := w.prepare(ctx)
	if err != nil || !ready {
		return err
	}
	begun := w.rec().Boot
	w.change(w.r.begin(w.Boot, stamp(w.now())))
	if err := w.commit(); err != nil {
		return err
	}
	return w.runStep(ctx, begun)
}

// cancelled ends the job where cause is a Cancel. Any other cause only ends the walk.
func (w *walk) cancelled(cause error) error {
	var c Cancel
	switch {
	case !errors.As(cause, &c):
		return w.leave(cause)
	case w.r.At.Phase == OnFailure && w.rec().Attempts == 0: // the job has failed already, and the steps that are left are dropped
		w.change(w.r.close(w.r.Verdict, w.r.Reason))
	case w.rec().Attempts == 0:
		w.r.Verdict, w.r.Reason = Cancelled, c.Reason
		w.change(w.r.back(w.canUndo))
	default:
		w.change(w.r.cancel(c, w.canUndo))
	}
	return nil
}

// prepare reports whether the step under the cursor is to be begun now. If not,
// the Record has moved on.
func (w *walk) prepare(ctx context.Context) (bool, error) {
	switch rec := w.rec(); {
	case rec.State == Running || rec.State == Stopped:
		return w.resolveInterrupted(ctx)
	case rec.Attempts > 0: // a retry
		return true, nil
	}
	if w.r.At.Phase == Forward {
		if ok, err := w.mayBegin(); !ok {
			return false, err
		}
	}
	return w.wanted(ctx), nil
}

// mayBegin asks the Gate whether the job may begin at all, and the step now.
func (w *walk) mayBegin() (bool, error) {
	if w.r.State == Queued {
		if err := w.Gate.Admit(w.r); err != nil {
			w.change(w.r.close(Rejected, err.Error()))
			return false, nil
		}
	}
	if reason := w.Gate.Hold(w.r); reason != "" {
		return false, w.leave(Wait{Reason: reason})
	}
	return true, nil
}

// leave commits what is not on disk yet and returns cause, which ends the walk.
func (w *walk) leave(cause error) error {
	if w.dirty {
		if err := w.commit(); err != nil {
			return err
		}
	}
	return cause
}

// wanted evaluates the step's when, and ends the step where it is not to run.
func (w *walk) wanted(ctx context.Context) bool {
	yes, err := w.when(ctx)
	switch {
	case err != nil:
		w.end(ending{state: Failed, reason: "when: " + err.Error(), last: true})
	case !yes:
		w.end(ending{state: Skipped})
	}
	return err == nil && yes
}

func (w *walk) stopping() bool {
	select {
	case <-w.Stopping:
		return true
	default:
		return false
	}
}

// change makes r the Record in hand; the next commit carries it.
func (w *walk) change(r Record) {
	if r.At.Phase != w.r.At.Phase {
		r = w.spend(r)
		r.Walked = 0
	}
	w.r, w.dirty = r, true
}

// end ends the attempt under the cursor.
func (w *walk) end(e ending) { w.change(w.r.end(e, w.canUndo)) }

func (w *walk) step() Step       { return w.r.Job.StepAt(w.r.At.Step) }
func (w *walk) rec() *StepRecord { return &w.r.Steps[w.r.At.Step] }

// canUndo reports whether the i-th step's kind can take its change back.
func (w *walk) canUndo(i int) bool {
	_, ok := w.Kinds[w.r.Job.StepAt(i).Kind].(Undoer)
	return ok
}

// Run takes the job from where its Record says it is to its end, and commits
// every change before it acts on it. It returns early with Wait, with ErrStopped
// when the agent ends, or with ErrReplaced; called again with the Record from disk
// it goes on. A ctx that ends with a Cancel as its cause cancels the job.
func (x *Executor) Run(ctx context.Context, r Record) (Record, error) {
	w := &walk{Executor: x, key: r.Key, r: r, mark: time.Now()}
	if len(r.Steps) == 0 || len(r.Steps) != r.Job.Total() {
		w.r = r.close(Failed, "this agent no longer understands the document")
		w.dirty = true
	}
	for !w.r.State.Final() {
		if err := w.next(ctx); err != nil {
			return w.r, err
		}
	}
	if err := w.finish(); err != nil {
		return w.r, err
	}
	return w.r, nil
}
