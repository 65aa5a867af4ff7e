package executor

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"

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
