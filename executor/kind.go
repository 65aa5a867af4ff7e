package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// A Kind is the code for one sort of step.
//
// Check checks the parameters against the rules and the owner's policy when
// the job is accepted; it must not act.
//
// Run does the work and blocks until it is done. After a crash, a reboot or a
// stop it is called again for the same step, with Task.Attempt raised and the last
// checkpoint in Task.Load, so it must be able to go on or to begin again.
// When ctx ends it must return soon, with the whole process group gone; the
// cause of ctx says why. A nil error counts even when ctx has ended.
type Kind interface {
	Check(with json.RawMessage) error
	Run(ctx context.Context, t *Task) error
}

// An Undoer can take its change back. Undo may be called at any time after Run
// was first called, may itself be cut at any moment, and may be called twice: what
// it needs was saved before the change was made. A cancel does not end ctx.
// ErrNoUndo says that this step, unlike others of its kind, has no way back.
type Undoer interface {
	Undo(ctx context.Context, t *Task) error
}

// ErrNoUndo is the error of an Undo that never had a way back. It is not tried
// again, and does not count as an undo that failed.
var ErrNoUndo = errors.New("it has no undo: what it did stays")

// A NotBegun is the error of a Run that has done nothing at all. A step of which
// no attempt has done anything is not undone.
type NotBegun struct{ error }

// Unwrap is for errors.Is and errors.As.
func (n NotBegun) Unwrap() error { return n.error }

// Refuse wraps err in a NotBegun. Nil stays nil.
func Refuse(err error) error {
	if err == nil {
		return nil
	}
	return NotBegun{err}
}

// A Trialist makes changes that can cut the device off. Trial is what the change
// of a step with these parameters must pass even where the step has no confirm; it
// then has 3 minutes. Nil means no trial.
type Trialist interface {
	Trial(with json.RawMessage) *Trial
}

// A Trial needs a fresh connection and, where Proof is set, more: once the
// connection stands and the step's check has passed, Proof is called every second
// until it returns nil, and again after a cut. Proof must change nothing.
type Trial struct {
	Proof func(ctx context.Context, t *Task) error
}

// A Confirmer makes its change final. Confirm is called when the step's trial, if
// it has one, was passed, and again after a cut. An error fails the step, which is
// then undone. Parameters that the device fills in may still be open.
type Confirmer interface {
	Confirm(ctx context.Context, t *Task) error
}

// Kinds are the kinds that this device can run, by name.
type Kinds map[string]Kind

// Check checks every step of the job with its kind. The error names the step.
func (k Kinds) Check(j Job) error {
	for i := range j.Total() {
		s, where := j.StepAt(i), stepPath(i, len(j.Steps))
		kind, ok := k[s.Kind]
		if !ok {
			return fmt.Errorf("%s.%s: no such kind or field%s", where, s.Kind, DidYouMean(s.Kind, k.names()))
		}
		if err := kind.Check(s.With); err != nil {
			return fmt.Errorf("%s.%s: %w", where, s.Kind, err)
		}
	}
	return nil
}

// names are those of the kinds, and of the fields that every step may have beside
// one of them.
func (k Kinds) names() []string {
	shared, _ := shapeOf(reflect.TypeFor[Step]())
	return slices.AppendSeq(slices.Collect(maps.Keys(k)), maps.Keys(shared))
}
