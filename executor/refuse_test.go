package executor

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
)

// unwilling refuses its first attempts, before it does anything, and cannot undo.
type unwilling struct{ refusals, runs, undos int }

func (*unwilling) Check(json.RawMessage) error { return nil }

func (*unwilling) Describe(Step) Description {
	return Description{Places: map[string]Place{"content": One}}
}

func (k *unwilling) Run(context.Context, *Task) error {
	if k.refusals > 0 {
		k.refusals--
		return Refuse(errors.New("not installed"))
	}
	k.runs++
	return errors.New("broken")
}

func (k *unwilling) Undo(context.Context, *Task) error {
	k.undos++
	return errors.New("not installed")
}

// A step that never began is not undone: its undo would fail for the same
// reason, and that is told as a device that is half changed.
func TestWhatNeverBeganIsNotUndone(t *testing.T) {
	for _, tt := range []struct {
		refusals, retries int
		state             State
		reason            string
	}{
		{refusals: 1, retries: 1, state: Succeeded},
		{refusals: 3, retries: 3, state: Succeeded},
		{refusals: 1, retries: 2, state: Failed, reason: "undo failed: step a: broken; its undo: not installed"},
	} {
		synctest.Test(t, func(t *testing.T) {
			j := job("a")
			j.Steps[0].Kind, j.Steps[0].ContinueOnFailure, j.Steps[0].Retry.Attempts = "unwilling", true, tt.retries
			w := newWorld(t, j)
			x, k := w.executor(), &unwilling{refusals: tt.refusals}
			x.Kinds["unwilling"] = k
			x.Run(t.Context(), w.disk)
			if w.disk.State != tt.state || w.disk.Reason != tt.reason || (k.undos > 0) != (k.runs > 0) {
				t.Errorf("%+v: got %s %q, %d runs and %d undos", tt, w.disk.State, w.disk.Reason, k.runs, k.undos)
			}
		})
	}
}

// Without a secret that it names a step does not begin.
func TestAStepWithoutItsSecretNeverBegan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := job("a")
		j.Steps[0].Kind, j.Steps[0].With = "unwilling", json.RawMessage(`{"content":{"secret":"wifi"}}`)
		w := newWorld(t, j)
		x, k := w.executor(), &unwilling{}
		x.Kinds["unwilling"] = k
		w.board.secret = func(string) (string, error) { return "", errors.New("there is no file wifi") }
		x.Run(t.Context(), w.disk)
		if want := "step a: content: there is no file wifi"; w.disk.Reason != want || k.undos != 0 {
			t.Errorf("got %q and %d undos, want %q and none", w.disk.Reason, k.undos, want)
		}
	})
}
