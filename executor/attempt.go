package executor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"time"

	"github.com/ratchetd/ratchet/executor/fence"
	"github.com/ratchetd/ratchet/executor/redact"
)

// An attempt is one run of the step under the cursor, or of its Undo: the task that
// its kind gets, and what it says.
type attempt struct {
	w    *walk
	task *Task
	out  tail
	live []*stream // of a step that streams
}

// newAttempt is the next attempt at the step under the cursor. begun is the id of
// the boot in which the step was begun before, or empty.
func (w *walk) newAttempt(begun string) *attempt {
	a := &attempt{w: w}
	step, rec := w.step(), w.rec()
	t := &Task{
		Job: w.r.ID, Step: step.Name, With: step.With, Attempt: rec.Attempts,
		Boot: w.Boot, Begun: begun, Timeout: step.Timeout, Stream: step.Stream, Stopping: w.Stopping,
		Output: &a.out, Err: &a.out, Log: w.Log, saved: rec.Saved, save: w.save, watch: w.watch,
	}
	if w.Dir != "" {
		t.Dir = filepath.Join(w.dir(), strconv.Itoa(w.r.At.Step))
	}
	t.warn = func(text string) { w.change(w.r.warn("step " + step.Name + ": " + a.hide(text))) }
	t.progress = func(fraction float64) { a.emit(Live{Progress: min(max(fraction, 0), 1)}) }
	if step.Stream {
		t.Output, t.Err = a.stream("stdout"), a.stream("stderr")
	}
	a.task = t
	return a
}

// stream passes on what is written to it while the step runs, and keeps it too.
func (a *attempt) stream(name string) io.Writer {
	s := &stream{hide: a.hide, emit: func(text string) { a.emit(Live{Stream: name, Text: text}) }}
	a.live = append(a.live, s)
	return io.MultiWriter(&a.out, s)
}

// flush passes on what live output still holds back.
func (a *attempt) flush() {
	for _, s := range a.live {
		s.flush()
	}
}

// emit is called from any goroutine of a kind, so it reads only what never changes
// in a walk.
func (a *attempt) emit(l Live) {
	if a.w.OnLive != nil {
		l.Key, l.Job, l.Step, l.Attempt = a.w.key, a.task.Job, a.task.Step, a.task.Attempt
		a.w.OnLive(l)
	}
}

// fill fills in what the step's parameters leave to the device.
func (a *attempt) fill(ctx context.Context) error {
	f := filler{ctx: ctx, env: a.w.env(), secret: a.w.Device.Secret, places: a.w.Kinds.describe(a.w.step()).Places}
	with, err := f.fill(a.task.With)
	if err == nil {
		a.task.With = with
	}
	a.task.secrets = redact.New(f.secrets)
	return err
}

// run calls the kind. It can be missing only where another version of the agent
// has accepted the job.
func (a *attempt) run(ctx context.Context) error {
	k := a.w.Kinds[a.w.step().Kind]
	if k == nil {
		return errors.New("this agent does not have this kind of step")
	}
	return a.w.guard(ctx, func() error { return k.Run(ctx, a.task) })
}

// keepOutput records the output and the result of the attempt.
func (a *attempt) keepOutput() {
	a.flush()
	r, rec := a.w.r.clone()
	rec.Output = a.out.text(a.hide)
	rec.Result = nil
	if result := a.task.Result; len(result) > MaxOutput {
		r = r.warn(fmt.Sprintf("step %s: its result of %d bytes was dropped: at most %d are kept", a.task.Step, len(result), MaxOutput))
	} else if len(result) > 0 {
		rec.Result = redact.JSON(result, a.hide)
	}
	a.w.change(r)
}

// runStep runs the step under the cursor once and closes the attempt. begun is as
// for newAttempt.
func (w *walk) runStep(ctx context.Context, begun string) error {
	ctx, cancel := w.limits(ctx)
	defer cancel()
	start, a := time.Now(), w.newAttempt(begun)
	var err error
	if rec := w.rec(); !rec.Trial && !rec.Confirmed { // otherwise the change is made, and its output is kept
		if err = Refuse(a.fill(ctx)); err == nil {
			err = a.run(ctx)
		}
		a.keepOutput()
	}
	if c := w.confirm(); err == nil && c != nil && !w.rec().Confirmed {
		err = a.trial(ctx, c)
	}
	if err == nil {
		err = a.makeFinal(ctx)
	}
	w.addTime(time.Since(start))
	return w.judge(context.Cause(ctx), a.hideError(err))
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

// guard calls f, turns a panic into an error and lets a hang be noticed: a bug in
// one kind must not stop the agent. f must return soon after ctx ends.
func (w *walk) guard(ctx context.Context, f func() error) error {
	defer w.watch(ctx)()
	err := fence.Call(f)
	fence.Log(w.Log, err, "a step panicked", "job", w.r.ID, "kind", w.step().Kind)
	return err
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
	} else if left, limited := w.left(); limited { // the next attempt then says that the time is over
		pause = min(pause, left)
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
