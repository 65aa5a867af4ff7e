package executor

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
)

// lasting is a kind that makes its change final. Its Undo reboots the device so
// often as its parameter "fails" says.
type lasting struct {
	undoKind
	confirm error
}

func (k lasting) Confirm(_ context.Context, t *Task) error {
	k.w.trace = append(k.w.trace, "!"+t.Step)
	return k.confirm
}

func (k lasting) Undo(ctx context.Context, t *Task) error {
	var p with
	if err := Decode(t.With, &p); err != nil {
		return err
	}
	var rebooted int
	if _, err := t.Load(&rebooted); err != nil {
		return err
	}
	if rebooted < p.Fails {
		if err := t.SaveBeforeReboot(rebooted + 1); err != nil {
			return err
		}
		k.w.boot++
		runtime.Goexit()
	}
	return k.undoKind.Undo(ctx, t)
}

func (k lasting) Run(ctx context.Context, t *Task) error {
	t.Warn("no way back")
	k.w.trace = append(k.w.trace, t.Step)
	k.w.effects[t.Step] = true
	return ctx.Err()
}

// lastingWorld is a device with a job of one lasting step, on trial or not.
func lastingWorld(t *testing.T, text string, trial bool, confirm error) (*world, func(cuts []cut)) {
	w := newWorld(t, job(text))
	w.disk.Job.Steps[0].Kind = "lasting"
	if trial {
		w.disk.Job.Steps[0].Confirm = &Confirm{Within: Duration(1e9)}
	}
	return w, func(cuts []cut) {
		for boots := 0; !w.disk.State.Final(); boots++ {
			if boots > 20 {
				t.Fatalf("boot loop: %v", w.trace)
			}
			w.puts, w.cut = 0, cut{}
			if boots < len(cuts) {
				w.cut = cuts[boots]
			}
			x, r, done := w.executor(), w.disk, make(chan bool)
			x.Kinds["lasting"] = lasting{undoKind{kind{w: w, undo: true}}, confirm}
			w.board.connect = func(context.Context) error { w.trace = append(w.trace, "reach"); return nil }
			go func() {
				defer close(done)
				if _, err := x.Run(t.Context(), r); err != nil {
					t.Error(err)
				}
			}()
			<-done
			w.boot++
		}
	}
}

// TestAChangeIsMadeFinalAfterItsTrialWhereverItIsCut: what was confirmed is not
// put on trial again, and nothing is confirmed that was not.
func TestAChangeIsMadeFinalAfterItsTrialWhereverItIsCut(t *testing.T) {
	for _, trial := range []bool{false, true} {
		for n := 0; n < 8; n++ {
			for _, after := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					w, run := lastingWorld(t, "a", trial, nil)
					run([]cut{{n, after}})
					got := strings.Join(w.trace, " ")
					switch {
					case w.disk.State != Succeeded || !strings.HasSuffix(got, "!a") || w.disk.Steps[0].Confirmed:
						t.Errorf("cut %d, after %v: got %s %s, want it confirmed last", n, after, w.disk.State, got)
					case trial != strings.Contains(got, "reach"):
						t.Errorf("cut %d, after %v: got %s, want a trial: %v", n, after, got, trial)
					case strings.Contains(got, "!a reach"), strings.Contains(got, "!a a"):
						t.Errorf("cut %d, after %v: got %s, want nothing again that was confirmed", n, after, got)
					}
				})
			}
		}
	}
}

func TestAChangeThatCannotBeMadeFinalIsUndone(t *testing.T) {
	for _, trial := range []bool{false, true} {
		w, run := lastingWorld(t, "a:retry=3", trial, errors.New("the board fell back"))
		run(nil)
		if got, want := w.disk.Reason, "step a: the board fell back; undone"; w.disk.State != Failed || got != want || len(w.effects) > 0 {
			t.Errorf("got %s %q (%v), want failed %q", w.disk.State, got, w.trace, want)
		}
		if got := strings.Join(w.trace, " "); strings.Count(got, "!a") != 1 {
			t.Errorf("got %s, want it not tried again", got)
		}
		if len(w.disk.Warnings) != 1 || w.disk.Warnings[0] != "step a: no way back" {
			t.Errorf("got warnings %q, want the step's", w.disk.Warnings)
		}
	}
}

// TestAnUndoMayRebootTheDevice: those cuts it has announced, so they do not count.
func TestAnUndoMayRebootTheDevice(t *testing.T) {
	w, run := lastingWorld(t, "a:fails=5", true, errors.New("no"))
	run(nil)
	if u := w.disk.Steps[0].Undo; u.Interrupted != 0 || u.GivenUp || u.Attempts != 6 || len(w.effects) > 0 {
		t.Errorf("got %+v, want 6 attempts and no interruption", *u)
	}
}
