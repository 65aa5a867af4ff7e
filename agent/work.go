package agent

import (
	"context"
	"errors"
	"strings"
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
	mu    sync.Mutex
	key   string
	end   context.CancelCauseFunc
	early map[string]time.Time // cancelled, and not in the journal yet; when that was signed
}

// remember keeps a cancel that the journal could not take.
func (r *running) remember(key string, signed time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.early == nil {
		r.early = map[string]time.Time{}
	}
	if len(r.early) < maxWords {
		r.early[key] = signed
	}
}

func (r *running) remembers(job executor.Record) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	signed, there := r.early[job.Key]
	return there && !executor.Outlives(job.Signed.Time, signed)
}

// forget hands what was remembered to the journal, which works again.
func (r *running) forget(keep func(key string, signed time.Time) error) {
	r.mu.Lock()
	early := r.early
	r.early = nil
	r.mu.Unlock()
	for key, signed := range early {
		if keep(key, signed) != nil {
			r.remember(key, signed)
		}
	}
}

func (r *running) set(key string, cancel context.CancelCauseFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.key, r.end = key, cancel
}

func (r *running) cancel(key string, cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.key == key && r.end != nil {
		r.end(cause)
	}
}

// work runs one job after another until ctx ends. Whether a job may go on now
// only the executor asks; one that has to wait is passed by the others.
func (a *Agent) work(ctx context.Context) error {
	x := a.executor(ctx)
	for ctx.Err() == nil {
		began, ran := time.Now(), false
		for _, key := range a.queue.ready() {
			waits, err := a.run(ctx, x, key)
			switch {
			case errors.Is(err, executor.ErrStopped):
				return nil
			case err != nil:
				return err
			}
			if ran = !waits; ran {
				break // what is first may be another one now
			}
		}
		if ran {
			continue
		}
		select {
		case <-ctx.Done():
		case <-a.queue.wake:
		case <-a.pulse.work:
		case <-a.recheck(time.Since(began)):
		}
	}
	return nil
}

// recheck fires when waiting jobs are worth another look, which took so long;
// never while none waits, so that an idle agent sleeps.
func (a *Agent) recheck(took time.Duration) <-chan time.Time {
	if a.queue.empty() {
		return nil
	}
	return time.After(max(gateEvery, 20*took))
}

// run takes one job as far as it goes, and reports whether it only waits.
func (a *Agent) run(ctx context.Context, x *executor.Executor, key string) (waits bool, err error) {
	a.pulse.went.Add(1)
	r, ok, err := a.db.Record(key)
	if err != nil {
		return false, err
	}
	if !ok || r.State.Final() {
		a.queue.remove(key)
		return false, nil
	}
	job, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	a.running.set(key, cancel)
	defer a.running.set("", nil)
	if a.db.Cancelled(key) || a.running.remembers(r) {
		cancel(executor.Cancel{Reason: a.told.closing(key)})
	}
	r = a.renewed(r)
	if reason := a.awaitsURL(r); reason != "" && job.Err() == nil {
		a.queue.begun(key)
		a.told.waiting(key, reason)
		return true, nil
	}
	x.Kinds = a.kinds()
	if most := a.config.Load().Policy.MaxTime; r.Job.Timeout == 0 && most > 0 {
		r.Job.Timeout = executor.Duration(most)
	}
	before := r.Rev
	r, err = x.Run(job, r)
	if r.State != executor.Queued {
		a.queue.begun(key)
	}
	var wait executor.Wait
	switch {
	case errors.As(err, &wait):
		a.told.waiting(key, wait.Reason)
		return r.Rev == before, nil
	case err != nil:
		return false, err
	}
	a.queue.remove(key)
	a.told.done(key)
	a.renewals.forget(key)
	a.over(r)
	return false, nil
}

// over looks back at a job that just became final.
func (a *Agent) over(r executor.Record) {
	a.alertOf(r)
	if updates(r) {
		unfinished, err := a.db.Unfinished()
		if err != nil {
			a.log.Warn("the old binary stays until the next start", "err", err)
		} else {
			a.forgetOld(unfinished)
		}
	}
	a.unpruned++
	if len(a.queue.ready()) == 0 || a.unpruned >= pruneAfter {
		a.unpruned = 0
		if err := a.prune(nil); err != nil {
			a.log.Warn("the history was not pruned", "err", err)
		}
	}
	if a.queue.empty() {
		trim()
	}
}

// pruneAfter so many jobs that follow one another the history is pruned, for it
// is read as a whole each time.
const pruneAfter = 16

// alertOf raises what a job's end has to say to the operator besides its status.
func (a *Agent) alertOf(r executor.Record) {
	if r.UndoFailed() {
		a.alerts.raise("undo-failed", "critical", "job "+r.ID+": "+r.Reason)
	}
	for _, s := range r.Steps {
		if s.State == executor.Failed && strings.HasPrefix(s.Reason, "interrupted ") {
			a.alerts.raise("gave-up", "warning", "job "+r.ID+": a step was "+s.Reason)
		}
	}
}

// executor is the loop of all jobs, wired to this agent.
func (a *Agent) executor(ctx context.Context) *executor.Executor {
	return &executor.Executor{
		Journal: a.journal, Device: board{a}, Gate: gate{a, ctx.Done()},
		Boot: a.boot, Dir: a.taskDir(), Stopping: ctx.Done(), Log: a.log,
		Now: a.clock.Stamp, OnLive: a.told.live, OnCommit: a.committed, Watch: a.pulse.watch,
	}
}

// A gate is the executor's Gate: whether a job may go on, by what the owner, the
// clock and the board say now.
type gate struct {
	agent    *Agent
	stopping <-chan struct{}
}

// AwaitCancel gives the link time to bring a cancel.
func (g gate) AwaitCancel(ctx context.Context) {
	for began := time.Now(); !g.agent.link.quiet() && time.Since(began) < settling; {
		select {
		case <-time.After(time.Second):
		case <-g.stopping:
			return
		case <-ctx.Done():
			return
		}
	}
}

// Admit asks again, when the first step is about to begin, what may have
// changed since the job was accepted.
func (g gate) Admit(r executor.Record) error {
	if err := g.agent.expired(r.Job); err != nil {
		return err
	}
	if err := g.agent.trusted(r); err != nil {
		return err
	}
	return g.agent.able(r.Job, r.By)
}

// committed watches how the journal does.
func (a *Agent) committed(err error) {
	if err == nil {
		if a.failing {
			a.failing = false
			a.alerts.clear("no-room")
		}
		a.running.forget(a.journal.Cancel)
		return
	}
	a.failing = true
	a.log.Error("the journal cannot be written; it is tried again", "err", err)
	a.alerts.raise("no-room", "critical", "the journal cannot be written: "+err.Error())
}
