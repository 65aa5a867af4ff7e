package executor

import (
	"fmt"
	"slices"

	"github.com/ratchetd/ratchet/executor/redact"
)

// The methods below, with those of recordundo.go, are the whole state machine. Each
// returns the next Record and touches nothing else; the walk decides which of
// them apply.

const (
	maxInterruptions = 3 // of a step, unless it says otherwise, and of an Undo
	maxUndoFailures  = 3
)

// clone returns r with step records that can be changed.
func (r Record) clone() (Record, *StepRecord) {
	r.Steps = slices.Clone(r.Steps)
	s := &r.Steps[r.At.Step]
	if s.Undo != nil {
		u := *s.Undo
		s.Undo = &u
	}
	return r, s
}

// begin starts the step under the cursor, for the first time or again.
func (r Record) begin(boot string, now Time) Record {
	r, s := r.clone()
	if r.State == Queued {
		r.Started = now
	}
	r.State = Undoing
	if r.At.Phase == Forward {
		r.State = Running
	}
	s.State, s.Boot, s.CutExpected, s.Reason = Running, boot, false, ""
	s.Attempts++
	return r
}

// interrupt counts that the step under the cursor was cut.
func (r Record) interrupt() Record {
	r, s := r.clone()
	s.State = Running
	if s.Trial {
		s.Trials++
	} else {
		s.Interrupted++
	}
	return r
}

// cuts is how often the step was cut so far, in its run or in its trial, and
// how often is too often. A step sets that limit for its run; three lost trials
// are too many for any.
func (s StepRecord) cuts(step Step) (n, most int) {
	if s.Trial {
		return s.Trials, maxInterruptions
	}
	return s.Interrupted, step.interruptions()
}

// resume records what was decided about an interruption: Rerun, Verify or Fail.
func (r Record) resume(choice string) Record {
	r, s := r.clone()
	s.Resumed = choice
	return r
}

// stop records that the agent was stopped in the step or undo under the cursor.
func (r Record) stop() Record {
	r, s := r.clone()
	if r.At.Undo {
		s.Undo.Running = false
	} else {
		s.State = Stopped
	}
	return r
}

// An ending is how an attempt at a step went.
type ending struct {
	state   State // Succeeded, Skipped or Failed
	reason  string
	last    bool  // there is no retry
	idle    bool  // the kind has done nothing
	verdict State // not empty: the job ends so, whatever the step tolerates
}

// end closes the attempt at the step under the cursor and moves the cursor to
// what comes next. canUndo reports whether the i-th step's kind is an Undoer.
func (r Record) end(e ending, canUndo func(i int) bool) Record {
	r, s := r.clone()
	s.State, s.Reason, s.Trial, s.Confirmed = e.state, boundReason(e.reason), false, false
	if e.state != Failed {
		return r.onward()
	}
	if e.idle {
		s.Idle++
	}
	if !e.last && s.Failures+1 < r.Job.StepAt(r.At.Step).Retry.Attempts {
		s.Failures++
		s.State = Pending
		return r
	}
	if e.verdict != "" && r.At.Phase == Forward {
		r.Verdict = e.verdict
	}
	if s.Attempts > s.Idle && canUndo(r.At.Step) {
		r.At.Undo = true
		r.State = Undoing
		return r
	}
	return r.afterFailure(canUndo)
}

// onward moves to the next step, or ends the job after the last one.
func (r Record) onward() Record {
	r.At.Step++
	switch {
	case r.At.Phase == Forward && r.At.Step == len(r.Job.Steps):
		return r.close(Succeeded, "")
	case r.At.Phase == OnFailure && r.At.Step == r.Job.Total():
		return r.close(r.Verdict, r.Reason)
	}
	return r
}

// afterFailure decides what a failed step means for its job.
func (r Record) afterFailure(canUndo func(i int) bool) Record {
	step, s := r.Job.StepAt(r.At.Step), r.Steps[r.At.Step]
	gaveUp := s.Undo != nil && s.Undo.GivenUp
	switch {
	case r.At.Phase == OnFailure: // the rest may still help
		return r.onward()
	case step.ContinueOnFailure && r.Verdict == "" && !gaveUp:
		return r.onward()
	case r.Verdict == "":
		r.Verdict = Failed
	}
	if r.Verdict == Failed {
		r.Reason = fmt.Sprintf("step %s: %s", step.Name, s.Reason)
	}
	return r.back(canUndo)
}

// back moves to the newest done step before the cursor that is to be undone.
// After the oldest come the onFailure steps, which a cancel does not run.
func (r Record) back(canUndo func(i int) bool) Record {
	r.State = Undoing
	for i := r.At.Step - 1; r.Job.UndoOnFailure && i >= 0; i-- {
		if r.Steps[i].State == Succeeded && canUndo(i) {
			r.At = Cursor{Phase: Back, Step: i, Undo: true}
			return r
		}
	}
	if r.Verdict == Failed && len(r.Job.OnFailure) > 0 {
		r.At = Cursor{Phase: OnFailure, Step: len(r.Job.Steps)}
		return r
	}
	return r.close(r.Verdict, r.Reason)
}

// close makes the Record final. An undo that was given up makes it failed. So does
// an onFailure step, by another word: nothing was taken back there, and why the job
// had failed is still worth knowing.
func (r Record) close(state State, reason string) Record {
	r.State, r.Reason, r.Verdict, r.At = state, reason, "", Cursor{}
	for i := range min(len(r.Steps), r.Job.Total()) {
		name, why := r.Job.StepAt(i).Name, r.Steps[i].Reason
		switch {
		case r.undoGivenUp(i):
			r.State, r.Reason = Failed, fmt.Sprintf("undo failed: step %s: %s", name, why)
		case r.mendingGivenUp(i) && !r.UndoFailed():
			r.State, r.Reason = Failed, boundReason(fmt.Sprintf("onFailure given up: step %s: %s; before that: %s", name, why, reason))
		}
	}
	return r
}

// boundReason keeps a reason short: it is in every commit and every status.
func boundReason(reason string) string { return redact.Clip(reason, 512) }

// cancel ends the step under the cursor for a Cancel.
func (r Record) cancel(c Cancel, canUndo func(int) bool) Record {
	if r.At.Phase == Forward {
		r.Reason = c.Reason
	}
	return r.end(ending{state: Failed, reason: c.Error(), last: true, verdict: Cancelled}, canUndo)
}

func (s Step) interruptions() int {
	if s.MaxInterruptions > 0 {
		return s.MaxInterruptions
	}
	return maxInterruptions
}

// maxWarnings bounds a job's warnings. The same text is kept once.
const maxWarnings = 8

func (r Record) warn(text string) Record {
	if len(r.Warnings) < maxWarnings && !slices.Contains(r.Warnings, text) {
		r.Warnings = append(slices.Clone(r.Warnings), text)
	}
	return r
}
