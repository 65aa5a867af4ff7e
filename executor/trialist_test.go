package executor

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// risky is a kind whose every change is on trial.
type risky struct{ undoKind }

func (risky) Trial(json.RawMessage) *Trial { return &Trial{} }

func TestAKindThatIsAlwaysOnTrialNeedsNoConfirm(t *testing.T) {
	for _, c := range []struct {
		name    string
		confirm *Confirm
		reached time.Duration // from then on there is a connection
		want    string
	}{
		{"its own trial, in time", nil, 179 * time.Second, "succeeded a"},
		{"its own trial, too late", nil, 181 * time.Second, "failed a -a"},
		{"the step's trial, in time", &Confirm{Within: Duration(time.Hour)}, 181 * time.Second, "succeeded a"},
		{"the step's trial, too late", &Confirm{Within: Duration(time.Second)}, 2 * time.Second, "failed a -a"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, job("a"))
			w.disk.Job.Steps[0].Kind, w.disk.Job.Steps[0].Confirm = "risky", c.confirm
			x := w.executor()
			x.Kinds["risky"] = risky{undoKind{kind{w: w, undo: true}}}
			w.board.connect = func(ctx context.Context) error {
				select {
				case <-time.After(c.reached):
					return nil
				case <-ctx.Done():
					return errors.New("nobody answers")
				}
			}
			r, err := x.Run(t.Context(), w.disk)
			if got := string(r.State) + " " + strings.Join(w.trace, " "); got != c.want || err != nil {
				t.Errorf("%s: got %s (%s, %v), want %s", c.name, got, r.Reason, err, c.want)
			}
		})
	}
}

// witness is a kind that sees for itself whether its change may stay.
type witness struct {
	risky
	proof func(context.Context, *Task) error
}

func (p witness) Trial(json.RawMessage) *Trial { return &Trial{Proof: p.proof} }

func TestAKindsOwnProofIsAwaitedLast(t *testing.T) {
	for _, c := range []struct {
		name          string
		checks, after time.Duration // until the check passes, and until there is proof
		confirm       *Confirm
		want          string
	}{
		{"in time", 0, 179 * time.Second, nil, "succeeded a"},
		{"never", 0, time.Hour, nil, "failed a -a"},
		{"within the step's own time", 0, 50 * time.Minute, &Confirm{Within: Duration(time.Hour)}, "succeeded a"},
		{"not before the check", 30 * time.Second, 0, &Confirm{Within: Duration(20 * time.Second), Check: json.RawMessage(`{}`)}, "failed a -a"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, job("a"))
			w.disk.Job.Steps[0].Kind, w.disk.Job.Steps[0].Confirm = "witness", c.confirm
			x, began, passed := w.executor(), time.Now(), false
			w.board.connect = func(context.Context) error { return nil }
			w.board.check = func(context.Context, json.RawMessage) error {
				passed = time.Since(began) >= c.checks
				return map[bool]error{false: errors.New("not yet")}[passed]
			}
			x.Kinds["witness"] = witness{risky{undoKind{kind{w: w, undo: true}}}, func(_ context.Context, task *Task) error {
				if task.Step != "a" || c.confirm != nil && c.confirm.Check != nil && !passed {
					t.Errorf("%s: asked for step %q before the check passed", c.name, task.Step)
				}
				return map[bool]error{false: errors.New("no proof")}[time.Since(began) >= c.after]
			}}
			r, err := x.Run(t.Context(), w.disk)
			if got := string(r.State) + " " + strings.Join(w.trace, " "); got != c.want || err != nil {
				t.Errorf("%s: got %s (%s, %v), want %s", c.name, got, r.Reason, err, c.want)
			}
		})
	}
}
