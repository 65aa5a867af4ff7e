package agent

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/intake"
	"github.com/ratchetd/ratchet/agent/link"
	"github.com/ratchetd/ratchet/executor"
)

// gateEvery is how often a waiting job is looked at again.
const gateEvery = 5 * time.Second

// work runs one job after another until ctx ends. Whether a job may go on now
// only the executor asks; one that has to wait is passed by the others.
func (a *Agent) work(ctx context.Context) error {
	x := a.executor(ctx)
	for ctx.Err() == nil {
		began, ran := time.Now(), false
		for _, key := range a.ready() {
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
		case <-a.watchdog.Work.Beat():
		case <-a.recheck(time.Since(began)):
		}
	}
	return nil
}

// ready lists the jobs that may run now. A journal that is older than what was told
// does not know which those are before it has read its past back.
func (a *Agent) ready() []string {
	if a.db.Older() {
		return nil
	}
	return a.queue.ready()
}

// errOver ends the run of a job that this device had told more of than its journal
// knows.
var errOver = errors.New("it is over, as this device had told before its journal was put back")

// isOver reports whether there is nothing to run under this key.
func (a *Agent) isOver(key string) bool {
	r, known, err := a.db.Record(key)
	return err == nil && (!known || r.State.Final())
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
	a.watchdog.Work.Went()
	r, ok, err := a.db.Record(key)
	if err != nil {
		return false, err
	}
	switch {
	case ok && intake.Recurs(r): // it has taken the place of one that does not
		a.queue.remove(key)
		return false, nil
	case !ok || r.State.Final():
		a.queue.remove(key)
		if ok { // it was cancelled before it came
			a.report.Done(r)
		} else {
			a.report.Drop(key)
		}
		return false, nil
	}
	job, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	a.running.set(key, cancel)
	defer a.running.set("", nil)
	if a.intake.Cancelled(r) {
		cancel(executor.Cancel{Reason: a.report.Closing(key)})
	}
	r = a.intake.Renewed(r)
	if reason := a.intake.AwaitsURL(r); reason != "" && job.Err() == nil {
		a.queue.begun(key)
		a.report.Waiting(key, reason)
		return true, nil
	}
	x.Kinds = a.kinds()
	x.MaxUndo = time.Duration(a.config.Load().Policy.MaxUndo)
	if most := a.config.Load().Policy.MaxTime; r.Job.Timeout == 0 && most > 0 {
		r.Job.Timeout = executor.Duration(most)
	}
	before := r.Rev
	r, err = x.Run(job, r)
	if r.State != executor.Queued && !errors.Is(err, executor.ErrReplaced) {
		a.queue.begun(key)
	}
	var wait executor.Wait
	switch {
	case errors.Is(err, executor.ErrReplaced), errors.Is(err, errOver):
		return false, nil // what is in its place is looked at next
	case errors.As(err, &wait):
		a.report.Waiting(key, wait.Reason)
		return r.Rev == before, nil
	case err != nil:
		return false, err
	}
	a.queue.remove(key)
	a.report.Done(r)
	a.intake.Forget(key)
	a.over(r)
	return false, nil
}

// over looks back at a job that just became final.
func (a *Agent) over(r executor.Record) {
	a.alertOf(r)
	if begun("update", r) || begun("firmware", r) {
		unfinished, err := a.db.Unfinished()
		if err != nil {
			a.log.Warn("what the job has kept for its way back stays until the next start", "err", err)
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
		a.alerts.Raise("undo-failed", "critical", "job "+r.ID+": "+r.Reason)
	}
	for _, s := range r.Steps {
		if s.State == executor.Failed && strings.HasPrefix(s.Reason, "interrupted ") {
			a.alerts.Raise("gave-up", "warning", "job "+r.ID+": a step was "+s.Reason)
		}
	}
}

// executor is the loop of all jobs, wired to this agent.
func (a *Agent) executor(ctx context.Context) *executor.Executor {
	return &executor.Executor{
		Journal: a.journal, Device: board{a}, Gate: gate{a.intake, a.link, ctx.Done()},
		Boot: a.boot, Dir: a.taskDir(), Stopping: ctx.Done(), Log: a.log,
		Now: a.clock.Stamp, OnLive: a.report.Live, OnCommit: a.committed, Watch: a.watchdog.Work.Watch,
	}
}

// A gate is the executor's Gate: the intake decides whether a job may begin and go
// on, and the link knows when a cancel had its chance to arrive.
type gate struct {
	*intake.Intake
	link     *link.Link
	stopping <-chan struct{}
}

// AwaitCancel gives the link time to bring a cancel.
func (g gate) AwaitCancel(ctx context.Context) { g.link.AwaitSettled(ctx, g.stopping) }

// committed watches how the journal does.
func (a *Agent) committed(err error) {
	if err == nil {
		if a.failing {
			a.failing = false
			a.alerts.Clear("no-room")
		}
		a.intake.Retry()
		return
	}
	a.failing = true
	a.log.Error("the journal cannot be written; it is tried again", "err", err)
	a.alerts.Raise("no-room", "critical", "the journal cannot be written: "+err.Error())
}
