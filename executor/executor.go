// Package executor gives a job its meaning: the document (Job, Step), what the
// device durably knows about it (Record), and the loop that turns one Record
// into the next until it is final. Resuming after a power cut is the same loop
// on the Record found on disk.
//
// It knows no broker, no database and no kind of step: those come in as a
// Journal, a Device, a Gate and as Kinds.
//
// The document is in job.go and step.go. How a Record changes is in advance.go and
// recordundo.go, as pure functions from one Record to the next: they are the state
// machine and know nothing of the rest. The loop is the walk, which decides which of
// them applies: walk.go from step to step, attempt.go one attempt, trial.go a change
// on trial, interrupted.go what becomes of a step that was cut, undo.go one that is
// taken back, and commit.go where a Record becomes durable.
package executor

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"
)

// An Executor runs jobs, one at a time. Kinds, Journal, Device, Gate and Boot are
// needed. What follows them are hooks, and nil means that nobody listens; they are
// called while the job waits, so they must not block.
type Executor struct {
	Kinds    Kinds
	Journal  Journal
	Device   Device
	Gate     Gate
	Boot     string          // id of this boot
	Dir      string          // below it every task gets a directory for undo data
	MaxUndo  time.Duration   // of one step's undo, all its attempts together; 0 is 10 minutes
	Stopping <-chan struct{} // closed when the agent is asked to end
	Log      *slog.Logger

	Now      func() time.Time                        // zero while the clock is not sane; nil is time.Now
	OnLive   func(Live)                              // a step that runs has got on or has said something; called from any goroutine
	OnCommit func(err error)                         // how the last commit went
	Watch    func(ctx context.Context) (over func()) // a kind, or a pause, begins that is over soon after ctx
}

// A Device is what the steps of a job may ask of the board they run on. Nothing
// that it is asked changes the job, so all of it may be asked again after a cut.
type Device interface {
	// Env is what expressions see of the device: facts, health and vars. It
	// does not block.
	Env() map[string]any
	// Secret is the text of one of the device's secrets.
	Secret(name string) (string, error)
	// Mask is text with every secret of the device hidden. It is called from
	// any goroutine of a step.
	Mask(text string) string
	// Check runs one diagnostic check and blocks until it passed, failed or ctx
	// ended. A check may carry a repair, so it acts.
	Check(ctx context.Context, check json.RawMessage) error
	// Connect makes a fresh connection to the broker and blocks until it stands
	// or ctx ends; the error then says what was in the way.
	Connect(ctx context.Context) error
}

// A Gate decides whether a job may go on. It is asked again after every wait and
// every cut, and its answers may differ from those of before.
type Gate interface {
	// Admit is why a job may not begin any more, or nil. It is asked until the
	// first step has begun; an error ends the job as rejected.
	Admit(Record) error
	// Hold is why the next step may not begin now, or "".
	Hold(Record) (reason string)
	// AwaitCancel blocks until a cancel had its chance to arrive, or ctx ends.
	AwaitCancel(ctx context.Context)
}

// Live is news of a step that runs, which is not in its Record: its progress or,
// with Stream set, a piece of its output.
type Live struct {
	Key, Job string
	Step     string
	Attempt  int
	Progress float64
	Stream   string // stdout or stderr
	Text     string
}

// Wait is Run's error for a job that is to go on later. Other jobs may run meanwhile.
type Wait struct{ Reason string }

func (w Wait) Error() string { return "waiting: " + w.Reason }

// watch calls Watch, if there is one.
func (x *Executor) watch(ctx context.Context) (over func()) {
	if x.Watch == nil {
		return func() {}
	}
	return x.Watch(ctx)
}

func (x *Executor) now() time.Time {
	if x.Now == nil {
		return time.Now()
	}
	return x.Now()
}
