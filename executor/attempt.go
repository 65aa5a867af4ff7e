package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ratchetd/ratchet/executor/fence"
	"github.com/ratchetd/ratchet/executor/redact"
)

// attempt runs the step under the cursor once and closes the attempt. begun is
// the id of the boot in which it was begun before, or empty.
func (w *walk) attempt(ctx context.Context, begun string) error {
	ctx, cancel := w.limits(ctx)
	defer cancel()
	out, start := &tail{}, time.Now()
	t, flush := w.task(out)
	t.Begun = begun
	var err error
	if rec := w.rec(); !rec.Trial && !rec.Confirmed { // otherwise the change is made, and its output is kept
		if err = Refuse(w.fill(ctx, t)); err == nil {
			err = w.guard(ctx, func() error { return w.run(ctx, t) })
		}
		flush()
		w.keepOutput(t, out)
	}
	if c := w.confirm(); err == nil && c != nil && !w.rec().Confirmed {
		err = w.trial(ctx, t, c)
	}
	if err == nil {
		err = w.makeFinal(ctx, t)
	}
	w.addTime(time.Since(start))
	return w.judge(context.Cause(ctx), w.hideError(t, err))
}

// judge closes an attempt that ended with err. Success counts even when the
// context has ended; otherwise the cause of its end, if there is one, explains err.
func (w *walk) judge(cause, err error) error {
	var c Cancel
	var late timeout
	switch {
	case err == nil:
		w.end(ending{state: Succeeded})
	case errors.As(cause, &c):
		w.change(w.r.cancel(c, w.canUndo))
	case w.stopping(), cause != nil && !errors.As(cause, &late):
		w.change(w.r.stop())
		return w.leave(ErrStopped)
	case late.whose != "":
		w.end(ending{state: Failed, reason: late.Error(), last: true, verdict: Failed})
	case cause != nil:
		w.fail(late)
	default:
		w.fail(err)
	}
	return nil
}

// fail ends the attempt under the cursor; with a retry left, after a pause.
func (w *walk) fail(err error) {
	last := w.rec().Trial || w.rec().Confirmed // a change that was not confirmed is undone, never made again
	idle := errors.As(err, new(NotBegun))
	w.end(ending{state: Failed, reason: err.Error(), last: last, idle: idle})
	if !w.r.State.Final() && w.rec().State == Pending {
		w.pause = time.Duration(w.step().Retry.Delay)
	}
}

// run calls the kind. It can be missing only where another version of the agent
// has accepted the job.
func (w *walk) run(ctx context.Context, t *Task) error {
	k := w.Kinds[w.step().Kind]
	if k == nil {
		return errors.New("this agent does not have this kind of step")
	}
	return k.Run(ctx, t)
}

// guard calls f, turns a panic into an error and lets a hang be noticed: a bug in
// one kind must not stop the agent. f must return soon after ctx ends.
func (w *walk) guard(ctx context.Context, f func() error) error {
	defer w.watch(ctx)()
	err := fence.Call(f)
	fence.Log(w.Log, err, "a step panicked", "job", w.r.ID, "kind", w.step().Kind)
	return err
}

// keepOutput records the output and the result of the attempt.
func (w *walk) keepOutput(t *Task, out *tail) {
	r, rec := w.r.clone()
	hide := func(text string) string { return w.hide(t, text) }
	rec.Output = out.text(hide)
	rec.Result = nil
	if len(t.Result) > 0 && len(t.Result) <= MaxOutput {
		rec.Result = redact.JSON(t.Result, hide)
	}
	if len(t.Result) > MaxOutput {
		r = r.warn(fmt.Sprintf("step %s: its result of %d bytes was dropped: at most %d are kept", t.Step, len(t.Result), MaxOutput))
	}
	w.change(r)
}

// addTime records how long the attempt took, its trial included.
func (w *walk) addTime(d time.Duration) {
	r, rec := w.r.clone()
	rec.Millis += d.Milliseconds()
	w.change(r)
}

// pauseBeforeRetry waits for what the last failure asked for. The failure is
// committed before, since the pause may be long. A power cut skips the rest of it.
func (w *walk) pauseBeforeRetry(ctx context.Context) error {
	pause := w.pause
	if w.pause = 0; pause <= 0 {
		return nil
	}
	if w.dirty {
		if err := w.commit(); err != nil {
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
