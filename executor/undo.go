package executor

import (
	"context"
	"fmt"
	"time"
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
