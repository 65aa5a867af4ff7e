package executor

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"path/filepath"
	"strconv"

	"github.com/ratchetd/ratchet/executor/redact"
)

// A Task is one attempt at one step, handed to a Kind.
type Task struct {
	Job     string          // the job's id
	Step    string          // the step's name
	With    json.RawMessage // the parameters
	Attempt int             // from 1; counts every start of Run, or of Undo
	Boot    string          // id of this boot
	Begun   string          // id of the boot in which the step was begun before this attempt; empty at the first
	Timeout Duration        // of the step; 0 leaves it to the kind
	Stream  bool            // live output is wanted

	// Dir is the task's own directory below the state directory, for undo
	// data. It is made on first use by the kind and removed when the job ends.
	Dir string
	// Output takes what the step has to say; a bounded tail of it is kept. It
	// is safe for concurrent use and never blocks. Err is the same for stderr.
	Output, Err io.Writer
	// Result is what the step has to say in JSON, at most 4 KiB.
	Result json.RawMessage
	// Stopping is closed when the agent is asked to end: a step that only
	// waits returns at once, one that works has 20 seconds left.
	Stopping <-chan struct{}
	Log      *slog.Logger

	secrets  redact.Secrets // that were filled in
	saved    json.RawMessage
	save     func(state json.RawMessage, cutExpected bool) error
	progress func(fraction float64)
	warn     func(text string)
	watch    func(ctx context.Context) (over func())
}

// NewTask returns a Task with the given saved state, which calls save and
// progress; for the executor and for tests of kinds.
func NewTask(t Task, saved json.RawMessage, save func(json.RawMessage, bool) error, progress func(float64)) *Task {
	t.saved, t.save, t.progress = saved, save, progress
	return &t
}

// Load reads the step's last checkpoint into v and reports whether there is one.
func (t *Task) Load(v any) (bool, error) {
	if len(t.saved) == 0 {
		return false, nil
	}
	return true, json.Unmarshal(t.saved, v)
}

// Save makes v the step's checkpoint. It is durable when Save returns.
func (t *Task) Save(v any) error { return t.checkpoint(v, false) }

// SaveBeforeReboot is Save for a step that is about to reboot the device or to
// restart the agent. If the next start is in another boot, or the agent was
// stopped in an orderly way, that counts as no interruption.
func (t *Task) SaveBeforeReboot(v any) error { return t.checkpoint(v, true) }

func (t *Task) checkpoint(v any, cutExpected bool) error {
	state, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := t.save(state, cutExpected); err != nil {
		return err
	}
	t.saved = state
	return nil
}

// Warn gives the job a warning for the operator, which the next Save makes
// durable and sends. Only the goroutine of Run may call it.
func (t *Task) Warn(text string) {
	if t.warn != nil {
		t.warn(text)
	}
}

// Watch says that until over is called the step ends soon after ctx, and not after
// the context of Run. A step that goes on long after that is taken to hang. Only
// the goroutine of Run may call it.
func (t *Task) Watch(ctx context.Context) (over func()) {
	if t.watch == nil {
		return func() {}
	}
	return t.watch(ctx)
}

// Progress says how far the attempt is, from 0 to 1. It is cheap and not journaled.
func (t *Task) Progress(fraction float64) { t.progress(fraction) }

// task is the attempt under the cursor, for its kind. flush passes on what its live
// output still holds back.
func (w *walk) task(out *tail) (t *Task, flush func()) {
	step, rec := w.step(), w.rec()
	t = &Task{
		Job: w.r.ID, Step: step.Name, With: step.With, Attempt: rec.Attempts,
		Boot: w.Boot, Timeout: step.Timeout, Stream: step.Stream, Stopping: w.Stopping,
		Output: out, Err: out, Log: w.Log, saved: rec.Saved, save: w.save, watch: w.watch,
	}
	if w.Dir != "" {
		t.Dir = filepath.Join(w.dir(), strconv.Itoa(w.r.At.Step))
	}
	t.warn = func(text string) { w.change(w.r.warn("step " + step.Name + ": " + w.hide(t, text))) }
	t.progress = func(fraction float64) {
		w.emit(t, Live{Progress: min(max(fraction, 0), 1)})
	}
	if !step.Stream {
		return t, func() {}
	}
	stdout, stderr := w.stream(t, "stdout"), w.stream(t, "stderr")
	t.Output, t.Err = io.MultiWriter(out, stdout), io.MultiWriter(out, stderr)
	return t, func() { stdout.flush(); stderr.flush() }
}

// stream passes on what t says on stdout or stderr while it runs.
func (w *walk) stream(t *Task, name string) *stream {
	return &stream{
		hide: func(text string) string { return w.hide(t, text) },
		emit: func(text string) { w.emit(t, Live{Stream: name, Text: text}) },
	}
}

// fill fills in what the step's parameters leave to the device.
func (w *walk) fill(ctx context.Context, t *Task) error {
	f := filler{ctx: ctx, env: w.env(), secret: w.Device.Secret}
	if kind, ok := w.Kinds[w.step().Kind].(Filled); ok {
		f.places = kind.Places()
	}
	with, err := f.fill(t.With)
	if err == nil {
		t.With = with
	}
	t.secrets = redact.New(f.secrets)
	return err
}

// emit is called from any goroutine of a kind, so it reads only what never changes
// in a walk.
func (w *walk) emit(t *Task, l Live) {
	if w.OnLive != nil {
		l.Key, l.Job, l.Step, l.Attempt = w.key, t.Job, t.Step, t.Attempt
		w.OnLive(l)
	}
}
