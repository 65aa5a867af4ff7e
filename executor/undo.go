package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ratchetd/ratchet/executor/redact"
)

// undo runs the Undo under the cursor once. A cancel does not end it.
func (w *walk) undo(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	rebooted := w.rec().CutExpected && w.rec().Boot != w.Boot
	if u := w.rec().Undo; u != nil && u.Running && !rebooted { // it was cut
		if u.Interrupted > 0 {
			w.awaitCancel(ctx)
		}
		w.change(w.r.interruptUndo())
		if n := w.rec().Undo.Interrupted; n >= maxInterruptions {
			w.change(w.r.endUndo(fmt.Errorf("interrupted %d times", n), w.canUndo))
			return nil
		}
	}
	begun := w.rec().Boot
	left, late := w.undoLimit()
	if left <= 0 {
		w.change(w.r.endUndo(late, w.canUndo))
		return nil
	}
	w.change(w.r.beginUndo(w.Boot))
	if err := w.commit(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, left, late)
	defer cancel()
	start := time.Now()
	ctx, unstop := w.untilStopped(ctx, grace)
	defer unstop()
	a := w.newAttempt(begun)
	a.task.Attempt = w.rec().Undo.Attempts
	_ = a.fill(ctx) // what can no longer be filled in stays open: most undos need none of it
	err := w.guard(ctx, func() error { return w.Kinds[w.step().Kind].(Undoer).Undo(ctx, a.task) })
	if err != nil && w.stopping() {
		w.change(w.r.stop())
		return w.leave(ErrStopped)
	}
	if err != nil && context.Cause(ctx) == late {
		err = late
	}
	a.flush()
	r, rec := w.r.clone()
	rec.Undo.Ran += Duration(time.Since(start))
	w.change(r)
	step := w.r.At
	w.change(w.r.endUndo(a.hideError(err), w.canUndo))
	if w.r.At == step {
		w.pause = time.Second
	}
	return nil
}

// beginUndo starts the Undo under the cursor.
func (r Record) beginUndo(boot string) Record {
	r, s := r.clone()
	if s.Undo == nil {
		s.Undo = &UndoRecord{}
	}
	s.Undo.Running = true
	s.Undo.Attempts++
	s.Boot, s.CutExpected = boot, false
	r.State = Undoing
	return r
}

// interruptUndo counts that the Undo under the cursor was cut.
func (r Record) interruptUndo() Record {
	r, s := r.clone()
	s.Undo.Running = false
	s.Undo.Interrupted++
	return r
}

// endUndo closes the Undo under the cursor and moves on; an Undo that failed
// stays under the cursor until it has failed or was cut too often, or has had its
// time.
func (r Record) endUndo(err error, canUndo func(i int) bool) Record {
	r, s := r.clone()
	if s.Undo == nil { // its time was over before it could begin
		s.Undo = &UndoRecord{}
	}
	s.Undo.Running = false
	switch {
	case err == nil && r.At.Phase == Back:
		s.State = Undone
	case err == nil && s.Reason != Cancel{}.Error():
		s.Reason += "; undone"
	case errors.Is(err, ErrNoUndo) && r.At.Phase == Back:
		s.Reason = boundReason(err.Error())
	case errors.Is(err, ErrNoUndo):
		s.Reason = boundReason(s.Reason + "; " + err.Error())
	case err != nil:
		s.Undo.Failures++
		if late := errors.As(err, new(timeout)); !late && s.Undo.Failures < maxUndoFailures && s.Undo.Interrupted < maxInterruptions {
			return r
		}
		s.Undo.GivenUp = true
		why := err.Error()
		if r.At.Phase != Back { // otherwise it had succeeded, and has no reason of its own
			why = redact.Clip(s.Reason, 200) + "; its undo: " + why
		}
		s.Reason = boundReason(why)
	}
	r.At.Undo = false
	if r.At.Phase == Back {
		return r.back(canUndo)
	}
	return r.afterFailure(canUndo)
}

// gaveUp reports whether the i-th step's Undo was given up. An onFailure step
// that was cut too often counts as well: what it should mend may be as it was.
func (r Record) gaveUp(i int) bool {
	s := r.Steps[i]
	if i >= len(r.Job.Steps) && s.State == Failed && s.Interrupted >= r.Job.StepAt(i).interruptions() {
		return true
	}
	return s.Undo != nil && s.Undo.GivenUp
}

// UndoFailed reports whether something that was to be undone was given up.
func (r Record) UndoFailed() bool {
	for i := range r.Steps {
		if i < r.Job.Total() && r.gaveUp(i) {
			return true
		}
	}
	return false
}
