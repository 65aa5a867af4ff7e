package executor

import (
	"context"
	"fmt"
)

// resolveInterrupted decides what becomes of a step that had begun and did not
// end, and reports whether it is to be begun again.
func (w *walk) resolveInterrupted(ctx context.Context) (bool, error) {
	step, rec := w.step(), w.rec()
	if rec.CutExpected && (rec.Boot != w.Boot || rec.State == Stopped) {
		return true, nil
	}
	if rec.State == Running {
		if ok, err := w.countInterruption(ctx); !ok {
			return false, err
		}
	}
	switch {
	case rec.Trial || rec.Confirmed: // the change is made: what is repeated is its trial, or its Confirm
	case step.IfInterrupted == Fail:
		why := map[State]string{Running: "interrupted", Stopped: "the agent was stopped in it"}[rec.State]
		w.change(w.r.resume(Fail))
		w.end(ending{state: Failed, reason: why, last: true})
		return false, nil
	case step.IfInterrupted == Verify:
		return w.verify(ctx)
	}
	w.change(w.r.resume(Rerun))
	return true, nil
}

// countInterruption counts a cut and reports whether the step may go on; after
// too many it is given up. From the second cut on, a cancel gets its chance to
// arrive first. A trial does not wait for that: it changes nothing, a cancel ends
// it, and if it goes badly it is the trial that has cut the link.
func (w *walk) countInterruption(ctx context.Context) (bool, error) {
	if n, _ := w.rec().cuts(w.step()); n > 0 && !w.rec().Trial {
		w.awaitCancel(ctx)
	}
	if cause := context.Cause(ctx); cause != nil {
		return false, w.cancelled(cause)
	}
	if w.stopping() {
		return false, w.leave(ErrStopped)
	}
	w.change(w.r.interrupt())
	n, most := w.rec().cuts(w.step())
	if n < most {
		return true, nil
	}
	w.end(ending{state: Failed, reason: fmt.Sprintf("interrupted %d times", n), last: true})
	return false, nil
}

// awaitCancel gives a cancel its chance to arrive.
func (w *walk) awaitCancel(ctx context.Context) {
	defer w.watch(ctx)()
	w.Gate.AwaitCancel(ctx)
}

// verify runs the step's check to learn whether a cut step was done. A check may
// act, so the interruption is committed first: one that takes the device down is
// counted too.
func (w *walk) verify(ctx context.Context) (again bool, err error) {
	r, rec := w.r.clone()
	rec.State = Running
	w.change(r)
	if err := w.commit(); err != nil {
		return false, err
	}
	err = w.check(ctx, w.step().Check)
	switch {
	case err == nil && w.confirm() != nil: // it was done, and not confirmed
		r, rec := w.r.resume(Verify).clone()
		rec.Trial = true
		w.change(r)
		return true, nil
	case err == nil:
		w.change(w.r.resume(Verify))
		w.end(ending{state: Succeeded})
		return false, nil
	case context.Cause(ctx) != nil: // the check was cut, and proves nothing
		return false, w.cancelled(context.Cause(ctx))
	case w.stopping():
		w.change(w.r.stop())
		return false, w.leave(ErrStopped)
	}
	w.change(w.r.resume(Rerun))
	return true, nil
}
