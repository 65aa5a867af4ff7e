package executor

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// lengthy is a kind whose run and undo take their time, and heed ctx. Parameters
// are {"run", "undo"} in seconds; a negative run fails after that time.
type lengthy struct{ undone *[]string }

type lengthyWith struct{ Run, Undo int }

func (lengthy) Check(json.RawMessage) error { return nil }

func (lengthy) Run(ctx context.Context, t *Task) error {
	var p lengthyWith
	if err := json.Unmarshal(t.With, &p); err != nil {
		return err
	}
	if err := Sleep(ctx, nil, time.Duration(max(p.Run, -p.Run))*time.Second); err != nil {
		return errors.New("ended by somebody") // a kind need not tell the cause
	}
	if p.Run < 0 {
		return errors.New("broken")
	}
	return nil
}

func (k lengthy) Undo(ctx context.Context, t *Task) error {
	var p lengthyWith
	if err := json.Unmarshal(t.With, &p); err != nil {
		return err
	}
	*k.undone = append(*k.undone, t.Step)
	if Sleep(ctx, nil, time.Duration(max(p.Undo, -p.Undo))*time.Second) != nil {
		return errors.New("ended by somebody")
	}
	if p.Undo < 0 {
		return errors.New("stuck")
	}
	return nil
}

func lengthyJob(timeout time.Duration, steps, onFailure []string) Job {
	j := Job{ID: "j", Timeout: Duration(timeout), UndoOnFailure: true}
	for i, with := range steps {
		j.Steps = append(j.Steps, Step{Name: string(rune('a' + i)), Kind: "plain", With: json.RawMessage(with)})
	}
	for i, with := range onFailure {
		j.OnFailure = append(j.OnFailure, Step{Name: string(rune('x' + i)), Kind: "plain", With: json.RawMessage(with)})
	}
	return j
}

// TestEachWalkHasItsOwnLimit runs jobs whose steps, undos and onFailure steps would
// hold the queue for hours.
func TestEachWalkHasItsOwnLimit(t *testing.T) {
	for _, c := range []struct {
		name      string
		timeout   time.Duration
		maxUndo   time.Duration
		steps     []string
		onFailure []string
		end       string
		took      time.Duration
	}{
		{"onFailure", 3 * time.Second, 0, []string{`{"run": -1}`}, []string{`{"run": 10000}`, `{"run": 1}`},
			"failed step a: broken; undone: failed failed pending", 4 * time.Second},
		{"onFailure begins with the whole of it", 10 * time.Second, 0, []string{`{"run": 100}`}, []string{`{"run": 8}`},
			"failed step a: the job timed out after 10s; undone: failed succeeded", 18 * time.Second},
		{"an undo", 0, 5 * time.Second, []string{`{"undo": 10000}`, `{"run": -1}`}, []string{`{"run": 1}`},
			"failed undo failed: step a: timed out after 5s: succeeded failed succeeded", 7 * time.Second},
		{"an undo, where nobody has said", 0, 0, []string{`{"undo": 10000}`, `{"run": -1}`}, nil,
			"failed undo failed: step a: timed out after 10m0s: succeeded failed", 10*time.Minute + time.Second},
		{"the undo of the step that failed", 3 * time.Second, 5 * time.Second, []string{`{"run": -1, "undo": 10000}`}, nil,
			"failed undo failed: step a: broken; its undo: timed out after 5s: failed", 6 * time.Second},
		{"all attempts at an undo", 0, 5 * time.Second, []string{`{"undo": -3}`, `{"run": -1}`}, nil,
			"failed undo failed: step a: timed out after 5s: succeeded failed", 7 * time.Second},
		{"all undos together", 3 * time.Second, 5 * time.Second, []string{`{"undo": 4}`, `{"undo": 4}`, `{"run": -1}`}, nil,
			"failed undo failed: step a: the walk back timed out after 5s: succeeded undone failed", 6 * time.Second},
		{"a pause before a retry", 3 * time.Second, 0, []string{`{"run": -1}`}, nil,
			"failed step a: the job timed out after 3s; undone: failed", 3 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := lengthyJob(c.timeout, c.steps, c.onFailure)
				if c.name == "a pause before a retry" {
					j.Steps[0].Retry = Retry{Attempts: 2, Delay: Duration(time.Hour)}
				}
				start := time.Now()
				r, err := runSlow(t, j, lengthy{new([]string)}, Executor{MaxUndo: c.maxUndo}, t.Context())
				took := time.Since(start)
				if got := howItEnded(r); err != nil || got != c.end {
					t.Errorf("got %q, %v; want %q", got, err, c.end)
				}
				if took.Round(time.Second) > c.took+2*time.Second { // pauses between attempts at an undo
					t.Errorf("it took %s, want %s", took, c.took)
				}
			})
		})
	}
}

// TestAPowerCutGivesAWalkNoMoreTime cuts the power in an onFailure step:
// what it had used of its limit stays used.
func TestAPowerCutGivesAWalkNoMoreTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := lengthyJob(5*time.Second, []string{`{"run": -1}`}, []string{`{"run": 4}`, `{"run": 4}`})
		w := newWorld(t, j)
		x := Executor{Kinds: Kinds{"plain": lengthy{new([]string)}}, Journal: w, Device: &w.board, Gate: &w.board, Boot: "1"}
		w.cut = cut{n: 4, after: true} // when the first of onFailure is done and the second begun
		done := make(chan bool)
		go func() { defer close(done); _, _ = x.Run(t.Context(), w.disk) }()
		<-done
		if w.disk.At.Phase != OnFailure || w.disk.At.Step != 2 {
			t.Fatalf("cut at %+v", w.disk.At)
		}
		w.cut, w.puts, x.Boot = cut{}, 0, "2"
		start := time.Now()
		r, err := x.Run(t.Context(), w.disk)
		if got, want := howItEnded(r), "failed step a: broken; undone: failed succeeded failed"; got != want || err != nil {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("it took %s, want the second that was left", took)
		}
	})
}
