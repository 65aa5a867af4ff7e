package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// A Kind is the code for one sort of step.
//
// Check holds the parameters against the rules, and the owner's policy, when
// the job is accepted; it must not act.
//
// Run does the work and blocks until it is done. After a crash, a reboot or a
// stop it is called again for the same step with Task.Attempt raised and what
// was saved last in Task.Load, so it must be able to go on or to begin anew.
// When ctx ends it must return soon, with the whole process group gone; the
// cause of ctx says why. A nil error counts even when ctx has ended.
type Kind interface {
	Check(with json.RawMessage) error
	Run(ctx context.Context, t *Task) error
}

// An Undoer can take its change back: at any time after Run was first called,
// cut at any moment itself, and twice. What it needs for that was saved before
// the change was made. ctx is not ended by a cancel. ErrNoUndo says that this
// step, unlike others of its kind, has no way back.
type Undoer interface {
	Undo(ctx context.Context, t *Task) error
}

// ErrNoUndo is what an Undo returns that can take nothing back, and never could:
// it is not tried again, and is no undo that failed.
var ErrNoUndo = errors.New("it has no undo: what it did stays")

// A NotBegun is the error of a Run that has done nothing at all: where no attempt
// has, there is nothing to undo.
type NotBegun struct{ error }

// Unwrap is for errors.Is and errors.As.
func (n NotBegun) Unwrap() error { return n.error }

// Refuse is err as that of a Run that has done nothing; nil stays nil.
func Refuse(err error) error {
	if err == nil {
		return nil
	}
	return NotBegun{err}
}

// A Trialist makes changes that can cut the device off. Trial is what the change
// of a step with these parameters has to withstand also where the step has no
// confirm, which then lasts 3 minutes; nil is nothing.
type Trialist interface {
	Trial(with json.RawMessage) *Trial
}

// A Trial is more than a fresh connection when Proof is set: once that stands
// and the step's check has passed, Proof is asked every second until it returns
// nil, and after a cut anew. It only looks.
type Trial struct {
	Proof func(ctx context.Context, t *Task) error
}

// A Confirmer makes its change final: Confirm is called once the step's trial,
// if it has one, was withstood, and again after a cut in it. An error fails the
// step, which is then undone. What is filled into parameters may be open.
type Confirmer interface {
	Confirm(ctx context.Context, t *Task) error
}

// Kinds are the kinds that this device can run, by name.
type Kinds map[string]Kind

// Check holds every step of the job against its kind. The error names the step.
func (k Kinds) Check(j Job) error {
	for i := range j.Total() {
		s, where := j.StepAt(i), stepPath(i, len(j.Steps))
		kind, ok := k[s.Kind]
		if !ok {
			return fmt.Errorf("%s.%s: no such kind or field", where, s.Kind)
		}
		if err := kind.Check(s.With); err != nil {
			return fmt.Errorf("%s.%s: %w", where, s.Kind, err)
		}
	}
	return nil
}
