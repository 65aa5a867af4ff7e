package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/ratchetd/ratchet/executor/redact"
)

const (
	grace       = 20 * time.Second // what a step gets when the agent is stopped
	undoTimeout = 10 * time.Minute // of one attempt at an Undo
)

// timeout is the cause with which a context ends an attempt that took too long.
type timeout struct {
	whose string
	after time.Duration
}

func (t timeout) Error() string { return fmt.Sprintf("%stimed out after %s", t.whose, t.after) }

// attempt runs the step under the cursor once and closes the attempt. begun is
// the boot in which it was begun before.
func (w *walk) attempt(ctx context.Context, begun string) error {
	ctx, cancel := w.limits(ctx)
	defer cancel()
	out, start := &tail{}, time.Now()
	t := w.task(out)
	t.Begun = begun
	var err error
	if rec := w.rec(); !rec.Trial && !rec.Confirmed { // else the change is made, and what it had to say is kept
		if err = Refuse(w.fill(ctx, t)); err == nil {
			err = w.guard(ctx, func() error { return w.run(ctx, t) })
		}
		w.keep(t, out)
	}
	if c := w.confirm(); err == nil && c != nil && !w.rec().Confirmed {
		err = w.trial(ctx, t, c)
	}
	if err == nil {
		err = w.makeFinal(ctx, t)
	}
	w.took(time.Since(start))
	return w.judge(context.Cause(ctx), w.hideError(t, err))
}

// fill fills in what the step's parameters leave to the device.
func (w *walk) fill(ctx context.Context, t *Task) error {
	f := filler{ctx: ctx, env: w.env(), secret: w.Device.Secret}
	with, err := f.fill(t.With)
	if err == nil {
		t.With = with
	}
	t.secrets = redact.New(f.secrets)
	return err
}

// judge closes an attempt that ended with err. A success counts whatever the
// cause; an error counts as the cause's if there is one.
func (w *walk) judge(cause, err error) error {
	var c Cancel
	var late timeout
	switch {
	case err == nil:
		w.change(w.r.end(ending{state: Succeeded}, w.can))
	case errors.As(cause, &c):
		w.change(w.r.cancel(c, w.can))
	case w.stopping(), cause != nil && !errors.As(cause, &late):
		w.change(w.r.stop())
		return w.leave(ErrStopped)
	case late.whose != "":
		w.change(w.r.end(ending{state: Failed, reason: late.Error(), last: true, verdict: Failed}, w.can))
	case cause != nil:
		w.fail(late)
	default:
		w.fail(err)
	}
	return nil
}

// fail ends the attempt under the cursor; with a retry left, after a pause.
func (w *walk) fail(err error) {
	last := w.rec().Trial || w.rec().Confirmed // a change that was not confirmed is undone, not made again
	idle := errors.As(err, new(NotBegun))
	w.change(w.r.end(ending{state: Failed, reason: err.Error(), last: last, idle: idle}, w.can))
	if !w.r.State.Final() && w.rec().State == Pending {
		w.pause = time.Duration(w.step().Retry.Delay)
	}
}

// undo runs the Undo under the cursor once. It is not ended by a cancel.
func (w *walk) undo(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	rebooted := w.rec().CutExpected && w.rec().Boot != w.Boot
	if u := w.rec().Undo; u != nil && u.Running && !rebooted { // it was cut
		if u.Interrupted > 0 {
			w.awaitCancel(ctx)
		}
		w.change(w.r.interruptUndo())
		if n := w.rec().Undo.Interrupted; n >= maxInterruptions {
			w.change(w.r.endUndo(fmt.Errorf("interrupted %d times", n), w.can))
			return nil
		}
	}
	begun := w.rec().Boot
	w.change(w.r.beginUndo(w.Boot))
	if err := w.put(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, undoTimeout, timeout{after: undoTimeout})
	defer cancel()
	ctx, unstop := w.untilStopped(ctx, grace)
	defer unstop()
	t := w.task(&tail{})
	t.Attempt, t.Begun = w.rec().Undo.Attempts, begun
	_ = w.fill(ctx, t) // what cannot be filled in any more stays open: most undos need none of it
	err := w.guard(ctx, func() error { return w.Kinds[w.step().Kind].(Undoer).Undo(ctx, t) })
	if err != nil && w.stopping() {
		w.change(w.r.stop())
		return w.leave(ErrStopped)
	}
	t.flush()
	step := w.r.At
	w.change(w.r.endUndo(w.hideError(t, err), w.can))
	if w.r.At == step {
		w.pause = time.Second
	}
	return nil
}

// limits gives the attempt its deadlines and the grace of a stopping agent.
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

// untilStopped is ctx that also ends a grace after the agent was asked to end.
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

// run calls the kind. One that this agent lacks can only come from a Record of
// another version.
func (w *walk) run(ctx context.Context, t *Task) error {
	k := w.Kinds[w.step().Kind]
	if k == nil {
		return errors.New("this agent does not have this kind of step")
	}
	return k.Run(ctx, t)
}

// guard turns a panic into an error, and has a hang noticed: a bug in one kind
// must not stop the agent. f is to return soon after ctx ends.
func (w *walk) guard(ctx context.Context, f func() error) (err error) {
	defer w.watch(ctx)()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v (a bug in the agent)", p)
			if w.Log != nil {
				w.Log.Error("a step panicked", "job", w.r.ID, "kind", w.step().Kind, "err", p, "stack", string(debug.Stack()))
			}
		}
	}()
	return f()
}

// task is the attempt under the cursor as its kind sees it.
func (w *walk) task(out *tail) *Task {
	step, rec := w.step(), w.rec()
	t := &Task{
		Job: w.r.ID, Step: step.Name, With: step.With, Attempt: rec.Attempts,
		Boot: w.Boot, Timeout: step.Timeout, Stream: step.Stream, Stopping: w.Stopping,
		Dir:    filepath.Join(w.dir(), strconv.Itoa(w.r.At.Step)),
		Output: out, Err: out, Log: w.Log, saved: rec.Saved, save: w.save,
	}
	t.watch = w.watch
	if w.Dir == "" {
		t.Dir = ""
	}
	t.warn = func(text string) { w.change(w.r.warn("step " + step.Name + ": " + w.hide(t, text))) }
	t.progress = func(fraction float64) {
		w.tell(t, Live{Progress: min(max(fraction, 0), 1)})
	}
	t.flush = func() {}
	if step.Stream {
		said, warned := &stream{walk: w, t: t, name: "stdout"}, &stream{walk: w, t: t, name: "stderr"}
		t.Output, t.Err = io.MultiWriter(out, said), io.MultiWriter(out, warned)
		t.flush = func() { said.flush(); warned.flush() }
	}
	return t
}

// tell is called from any goroutine of a kind, so it reads nothing of the walk
// that changes.
func (w *walk) tell(t *Task, l Live) {
	if w.OnLive != nil {
		l.Key, l.Job, l.Step, l.Attempt = w.key, t.Job, t.Step, t.Attempt
		w.OnLive(l)
	}
}

// save commits a kind's checkpoint.
func (w *walk) save(state json.RawMessage, cutExpected bool) error {
	r, rec := w.r.own()
	rec.Saved, rec.CutExpected = state, cutExpected
	w.change(r)
	return w.put()
}

// keep notes what the attempt left behind.
func (w *walk) keep(t *Task, out *tail) {
	t.flush()
	r, rec := w.r.own()
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

// took notes how long the attempt was, its trial included.
func (w *walk) took(d time.Duration) {
	r, rec := w.r.own()
	rec.Millis += d.Milliseconds()
	w.change(r)
}

// maxWarnings bounds a job's warnings; each is given once.
const maxWarnings = 8

func (r Record) warn(text string) Record {
	if len(r.Warnings) < maxWarnings && !slices.Contains(r.Warnings, text) {
		r.Warnings = append(slices.Clone(r.Warnings), text)
	}
	return r
}
