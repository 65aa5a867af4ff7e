// Package executor gives a job its meaning: the document (Job, Step), what the
// device durably knows about it (Record), and the loop that turns one Record
// into the next until it is final. Resuming after a power cut is the same loop
// on the Record found on disk.
//
// It knows no broker, no database and no kind of step: those come in as a
// Journal and as Kinds.
package executor

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"
)

// An Executor runs jobs, one at a time. Kinds, Journal and Boot are needed; a
// nil func means that there is nothing to ask or to tell.
type Executor struct {
	Kinds    Kinds
	Journal  Journal
	Boot     string          // id of this boot
	Dir      string          // below it every task gets a directory for undo data
	Stopping <-chan struct{} // closed when the agent is asked to end
	Log      *slog.Logger

	Now    func() time.Time                                   // zero while the clock is not sane
	Env    func() map[string]any                              // what expressions see, besides steps and alert
	Secret func(name string) (string, error)                  // a secret of this device
	Mask   func(text string) string                           // hides the secrets of this device
	Check  func(ctx context.Context, c json.RawMessage) error // one diagnostic check
	Admit  func(Record) error                                 // whether a job may still begin
	Gate   func(Record) string                                // why the next step may not begin now, or ""
	Settle func(ctx context.Context)                          // waits until a cancel had its chance to arrive
	Reach  func(ctx context.Context) error                    // makes a fresh connection; nil once it stands
	Live   func(Live)                                         // what a step has to say while it runs; must not block
	Put    func(err error)                                    // how the last commit went; must not block
	Watch  func(ctx context.Context) (over func())            // a kind, or a pause, begins that is over soon after ctx
}

// Live is what RAM knows beyond the Record while a step runs: its progress or,
// with Stream set, a piece of its output.
type Live struct {
	Key, Job string
	Step     string
	Attempt  int
	Progress float64
	Stream   string // stdout or stderr
	Text     string
}

// Cancel is the cause with which a context ends a job.
type Cancel struct{ Reason string }

func (c Cancel) Error() string { return "cancelled" }

// Wait is Run's error for a job that is to go on later; others may pass it.
type Wait struct{ Reason string }

func (w Wait) Error() string { return "waiting: " + w.Reason }

// Run takes the job from where its Record says it is to its end, journaling
// every change before it acts on it. It returns early with Wait, or with
// ErrStopped when the agent ends; called again with the Record on disk it goes
// on. When the cause of ctx is a Cancel the job is cancelled.
func (x *Executor) Run(ctx context.Context, r Record) (Record, error) {
	w := &walk{Executor: x, key: r.Key, r: r, mark: time.Now()}
	if len(r.Steps) == 0 || len(r.Steps) != r.Job.Total() {
		w.r = r.close(Failed, "this agent no longer understands the document")
		w.dirty = true
	}
	for !w.r.State.Final() {
		if err := w.next(ctx); err != nil {
			return w.r, err
		}
	}
	if err := w.finish(); err != nil {
		return w.r, err
	}
	return w.r, nil
}

// watch tells Watch; what it returns is called when that is over.
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
