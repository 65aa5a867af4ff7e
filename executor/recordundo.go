package executor

import (
	"errors"

	"github.com/ratchetd/ratchet/executor/redact"
)

// beginUndo starts the Undo under the cursor.
func (r Record) beginUndo(boot string) Record {
	r, s := r.clone()
	if s.Undo == nil {
		s.Undo = &UndoRecord{}
	}
	s.Undo.Running = true
	s.Undo.Attempts++
	s.Boot, s.CutExpected = boot, false
	r.State = Undoing
	return r
}

// interruptUndo counts that the Undo under the cursor was cut.
func (r Record) interruptUndo() Record {
	r, s := r.clone()
	s.Undo.Running = false
	s.Undo.Interrupted++
	return r
}

// endUndo closes the Undo under the cursor and moves on; an Undo that failed
// stays under the cursor until it has failed or was cut too often, or has had its
// time.
func (r Record) endUndo(err error, canUndo func(i int) bool) Record {
	r, s := r.clone()
	if s.Undo == nil { // its time was over before it could begin
		s.Undo = &UndoRecord{}
	}
	s.Undo.Running = false
	switch {
	case err == nil && r.At.Phase == Back:
		s.State = Undone
	case err == nil && s.Reason != Cancel{}.Error():
		s.Reason += "; undone"
	case errors.Is(err, ErrNoUndo) && r.At.Phase == Back:
		s.Reason = boundReason(err.Error())
	case errors.Is(err, ErrNoUndo):
		s.Reason = boundReason(s.Reason + "; " + err.Error())
	case err != nil:
		s.Undo.Failures++
		if late := errors.As(err, new(timeout)); !late && s.Undo.Failures < maxUndoFailures && s.Undo.Interrupted < maxInterruptions {
			return r
		}
		s.Undo.GivenUp = true
		why := err.Error()
		if r.At.Phase != Back { // otherwise it had succeeded, and has no reason of its own
			why = redact.Clip(s.Reason, 200) + "; its undo: " + why
		}
		s.Reason = boundReason(why)
	}
	r.At.Undo = false
	if r.At.Phase == Back {
		return r.back(canUndo)
	}
	return r.afterFailure(canUndo)
}

// undoGivenUp reports whether the i-th step's Undo was given up.
func (r Record) undoGivenUp(i int) bool {
	return r.Steps[i].Undo != nil && r.Steps[i].Undo.GivenUp
}

// mendingGivenUp reports whether the i-th step is one of onFailure that was cut too
// often: what it should mend may be as it was.
func (r Record) mendingGivenUp(i int) bool {
	s := r.Steps[i]
	return i >= len(r.Job.Steps) && s.State == Failed && s.Interrupted >= r.Job.StepAt(i).interruptions()
}

// UndoFailed reports whether something that was to be undone was given up.
func (r Record) UndoFailed() bool {
	for i := range min(len(r.Steps), r.Job.Total()) {
		if r.undoGivenUp(i) {
			return true
		}
	}
	return false
}
