package agent

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ratchetd/ratchet/executor"
)

// settling is what a cancel gets to arrive before a step that was cut more
// than once is tried again.
const settling = 2 * time.Minute

// gateEvery is how often a waiting job is looked at again.
const gateEvery = 5 * time.Second

// running is the job that runs, so that a cancel finds it.
type running struct {
	mu  sync.Mutex
	id  string
	end context.CancelCauseFunc
}

func (r *running) set(id string, cancel context.CancelCauseFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.id, r.end = id, cancel
}

func (r *running) cancel(id string, cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.id == id && r.end != nil {
		r.end(cause)
	}
}

// work runs one job after another until ctx ends.
func (a *Agent) work(ctx context.Context) error {
	x := a.executor(ctx)
	for ctx.Err() == nil {
		r, ok, err := a.pick()
		if err != nil {
			return err
		}
		if !ok {
			select {
			case <-ctx.Done():
			case <-a.queue.wake:
			case <-a.recheck():
			}
			continue
		}
		if err := a.run(ctx, x, r); err != nil && !errors.Is(err, executor.ErrStopped) {
			return err
		}
	}
	return nil
}

// recheck fires when a waiting job is worth a look; never while none waits, so
// that an idle agent sleeps.
func (a *Agent) recheck() <-chan time.Time {
	if a.queue.empty() {
		return nil
	}
	return time.After(gateEvery)
}

// pick is the first job that may run now. One that waits is passed over.
func (a *Agent) pick() (executor.Record, bool, error) {
	for _, key := range a.queue.ready() {
		r, ok, err := a.db.Record(key)
		if err != nil {
			return r, false, err
		}
		if !ok || r.State.Final() {
			a.queue.remove(key)
			continue
		}
		reason := a.gate(r)
		if reason == "" || a.db.Cancelled(r.ID) {
			return r, true, nil
		}
		a.told.waiting(key, reason)
	}
	return executor.Record{}, false, nil
}

// run takes one job as far as it goes.
func (a *Agent) run(ctx context.Context, x *executor.Executor, r executor.Record) error {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	a.running.set(r.ID, cancel)
	defer a.running.set("", nil)
	if a.db.Cancelled(r.ID) {
		cancel(executor.Cancel{})
	}
	a.told.waiting(r.Key, "")
	a.queue.begun(r.Key)
	x.Kinds = a.kinds()
	if most := a.config.Load().Policy.MaxTime; r.Job.Timeout == 0 && most > 0 {
		r.Job.Timeout = executor.Duration(most)
	}
	r, err := x.Run(ctx, r)
	var wait executor.Wait
	switch {
	case errors.As(err, &wait):
		a.told.waiting(r.Key, wait.Reason)
		return nil
	case err != nil:
		return err
	}
	a.queue.remove(r.Key)
	a.told.done(r.Key)
	a.over(r)
	return nil
}

// over looks back at a job that just became final.
func (a *Agent) over(r executor.Record) {
	for _, s := range r.Steps {
		if s.Undo != nil && s.Undo.GivenUp {
			a.alerts.raise("undo-failed", "critical", "job "+r.ID+": "+r.Reason)
		}
	}
	if err := a.prune(nil); err != nil {
		a.log.Warn("the history was not pruned", "err", err)
	}
	if a.queue.empty() {
		trim()
	}
}

// executor is the loop of all jobs, wired to this agent.
func (a *Agent) executor(ctx context.Context) *executor.Executor {
	return &executor.Executor{
		Journal: a.journal, Boot: a.boot, Dir: a.taskDir(),
		Stopping: ctx.Done(), Log: a.log,
		Now: a.clock.stamp, Env: a.env, Admit: a.admit, Gate: a.gate,
		Secret: a.secret, Check: a.check, Reach: a.link.fresh, Live: a.told.live,
		Settle: func(jobCtx context.Context) { a.settle(ctx, jobCtx) },
		Put:    a.committed,
	}
}

// settle gives the link time to bring a cancel.
func (a *Agent) settle(stop, job context.Context) {
	select {
	case <-a.link.quiet():
	case <-time.After(settling):
	case <-stop.Done():
	case <-job.Done():
	}
}

// admit asks again, when the first step is about to begin, what may have
// changed since the job was accepted.
func (a *Agent) admit(r executor.Record) error {
	if err := a.expired(r.Job); err != nil {
		return err
	}
	if err := a.trusted(r); err != nil {
		return err
	}
	return a.able(r.Job)
}

// committed watches how the journal does.
func (a *Agent) committed(err error) {
	if err == nil {
		if a.failing {
			a.failing = false
			a.alerts.clear("no-room")
		}
		return
	}
	a.failing = true
	a.log.Error("the journal cannot be written; it is tried again", "err", err)
	a.alerts.raise("no-room", "critical", "the journal cannot be written: "+err.Error())
}
