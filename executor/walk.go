package executor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// A walk is one Run: the Record in hand, which may be ahead of the disk by what
// the next commit will carry.
type walk struct {
	*Executor
	key   string // r.Key, for any goroutine
	r     Record
	dirty bool      // r holds what is not on disk
	mark  time.Time // up to here the running time is in r.Ran
	pause time.Duration
}

// ErrStopped is Run's error when the agent was asked to end.
var ErrStopped = errors.New("the agent is stopping")

// next does whatever is under the cursor.
func (w *walk) next(ctx context.Context) error {
	if err := w.rest(ctx); err != nil {
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
	ready, err := w.prepare(ctx)
	if err != nil || !ready {
		return err
	}
	begun := w.rec().Boot
	w.change(w.r.begin(w.Boot, stamp(w.now())))
	if err := w.put(); err != nil {
		return err
	}
	return w.attempt(ctx, begun)
}

// cancelled ends the job for a Cancel; any other cause only ends the walk.
func (w *walk) cancelled(cause error) error {
	var c Cancel
	switch {
	case !errors.As(cause, &c):
		return w.leave(cause)
	case w.r.At.Phase == OnFailure && w.rec().Attempts == 0: // the job has failed already: only the rest is dropped
		w.change(w.r.close(w.r.Verdict, w.r.Reason))
	case w.rec().Attempts == 0:
		w.r.Verdict, w.r.Reason = Cancelled, c.Reason
		w.change(w.r.back(w.can))
	default:
		w.change(w.r.cancel(c, w.can))
	}
	return nil
}

// cancel ends the step under the cursor for a Cancel.
func (r Record) cancel(c Cancel, can func(int) bool) Record {
	if r.At.Phase == Forward {
		r.Reason = c.Reason
	}
	return r.end(ending{state: Failed, reason: c.Error(), last: true, verdict: Cancelled}, can)
}

// prepare tells whether the step under the cursor is to be begun now; if not,
// the Record has moved on.
func (w *walk) prepare(ctx context.Context) (bool, error) {
	switch rec := w.rec(); {
	case rec.State == Running || rec.State == Stopped:
		return w.settle(ctx)
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

// mayBegin asks whether the job may begin at all, and whether a step may now.
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

// leave ends the walk with what it knows on disk.
func (w *walk) leave(cause error) error {
	if w.dirty {
		if err := w.put(); err != nil {
			return err
		}
	}
	return cause
}

// wanted judges the step's when.
func (w *walk) wanted(ctx context.Context) bool {
	yes, err := w.when(ctx)
	switch {
	case err != nil:
		w.change(w.r.end(ending{state: Failed, reason: "when: " + err.Error(), last: true}, w.can))
	case !yes:
		w.change(w.r.end(ending{state: Skipped}, w.can))
	}
	return err == nil && yes
}

// settle decides what becomes of a step that had begun and did not end, and
// tells whether it is to be begun again.
func (w *walk) settle(ctx context.Context) (bool, error) {
	step, rec := w.step(), w.rec()
	if rec.CutExpected && (rec.Boot != w.Boot || rec.State == Stopped) {
		return true, nil
	}
	if rec.State == Running {
		if ok, err := w.interrupted(ctx); !ok {
			return false, err
		}
	}
	switch {
	case rec.Trial || rec.Confirmed: // it was done: only its trial is to be held again, or its end
	case step.IfInterrupted == Fail:
		why := map[State]string{Running: "interrupted", Stopped: "the agent was stopped in it"}[rec.State]
		w.change(w.r.resume(Fail))
		w.change(w.r.end(ending{state: Failed, reason: why, last: true}, w.can))
		return false, nil
	case step.IfInterrupted == Verify:
		return w.verify(ctx)
	}
	w.change(w.r.resume(Rerun))
	return true, nil
}

// interrupted counts a cut and tells whether the step is not given up for it.
// From the second cut on, a cancel gets its chance to arrive first; not before
// a trial, which acts on nothing, ends at a cancel, and has cut the link itself
// if it goes badly.
func (w *walk) interrupted(ctx context.Context) (bool, error) {
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
	w.change(w.r.end(ending{state: Failed, reason: fmt.Sprintf("interrupted %d times", n), last: true}, w.can))
	return false, nil
}

// awaitCancel gives a cancel its chance to arrive.
func (w *walk) awaitCancel(ctx context.Context) {
	defer w.watch(ctx)()
	w.Gate.AwaitCancel(ctx)
}

// verify runs the step's check to learn whether a cut step was done. The check
// acts, so the interruption is on disk before it: a check that takes the device
// down is counted too.
func (w *walk) verify(ctx context.Context) (again bool, err error) {
	r, rec := w.r.own()
	rec.State = Running
	w.change(r)
	if err := w.put(); err != nil {
		return false, err
	}
	err = w.check(ctx, w.step().Check)
	switch {
	case err == nil && w.confirm() != nil: // it was done, and not confirmed
		r, rec := w.r.resume(Verify).own()
		rec.Trial = true
		w.change(r)
		return true, nil
	case err == nil:
		w.change(w.r.resume(Verify))
		w.change(w.r.end(ending{state: Succeeded}, w.can))
		return false, nil
	case context.Cause(ctx) != nil: // the check was cut, it says nothing
		return false, w.cancelled(context.Cause(ctx))
	case w.stopping():
		w.change(w.r.stop())
		return false, w.leave(ErrStopped)
	}
	w.change(w.r.resume(Rerun))
	return true, nil
}

func (s Step) interruptions() int {
	if s.MaxInterruptions > 0 {
		return s.MaxInterruptions
	}
	return maxInterruptions
}

// rest waits before a retry. What is to be retried is on disk before, for the
// pause may be long; a cut ends it.
func (w *walk) rest(ctx context.Context) error {
	pause := w.pause
	if w.pause = 0; pause <= 0 {
		return nil
	}
	if w.dirty {
		if err := w.put(); err != nil {
			return err
		}
	}
	if w.r.At.Undo {
		ctx = context.WithoutCancel(ctx)
	}
	defer w.watch(ctx)()
	select {
	case <-time.After(pause):
	case <-ctx.Done():
	case <-w.Stopping:
		return ErrStopped
	}
	return nil
}

func (w *walk) stopping() bool {
	select {
	case <-w.Stopping:
		return true
	default:
		return false
	}
}

func (w *walk) change(r Record) { w.r, w.dirty = r, true }

func (w *walk) step() Step       { return w.r.Job.StepAt(w.r.At.Step) }
func (w *walk) rec() *StepRecord { return &w.r.Steps[w.r.At.Step] }

// can tells whether the i-th step's kind can take its change back.
func (w *walk) can(i int) bool {
	_, ok := w.Kinds[w.r.Job.StepAt(i).Kind].(Undoer)
	return ok
}

// put commits the Record in hand. A journal that fails is tried again until it
// works or the agent ends: nothing goes on without it.
func (w *walk) put() error {
	now := time.Now()
	w.r.Ran += Duration(now.Sub(w.mark))
	w.mark = now
	w.r.Rev++
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		err := w.Journal.Put(w.r)
		if w.OnCommit != nil {
			w.OnCommit(err)
		}
		if err == nil {
			w.dirty = false
			return nil
		}
		if !w.pausing(wait) {
			return fmt.Errorf("%w; job %s is not journaled: %w", ErrStopped, w.r.ID, err)
		}
	}
}

// pausing waits for d, unless the agent is asked to end meanwhile.
func (w *walk) pausing(d time.Duration) bool {
	defer w.watch(context.Background())()
	select {
	case <-time.After(d):
		return true
	case <-w.Stopping:
		return false
	}
}

// finish commits the final Record; only then what undo needed may go.
func (w *walk) finish() error {
	w.r.Ended = stamp(w.now())
	if err := w.put(); err != nil {
		return err
	}
	if w.Dir == "" {
		return nil
	}
	if err := os.RemoveAll(w.dir()); err != nil && w.Log != nil {
		w.Log.Warn("undo data of a job that is over stays", "job", w.r.ID, "err", err) // sweep tries again
	}
	return nil
}

// dir is where the tasks of this job keep their undo data.
func (w *walk) dir() string { return filepath.Join(w.Dir, TaskDir(w.r)) }

// TaskDir is the name, below Executor.Dir, of the directory that holds the undo
// data of a job. One without an unfinished Record may be removed.
func TaskDir(r Record) string { return Digest([]byte(r.Key))[:16] }
