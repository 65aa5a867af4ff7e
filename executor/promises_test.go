package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ratchetd/ratchet/executor/redact"
)

// verify's check cut by a stop must not be taken for "not done".
func TestACheckThatAStopCutSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, job("a:verify=yes b"))
		w.disk.State, w.disk.Steps[0].State, w.disk.Steps[0].Attempts = Running, Running, 1
		x := w.executor()
		stopping := make(chan struct{})
		x.Stopping = stopping
		w.board.check = func(ctx context.Context, c json.RawMessage) error { <-ctx.Done(); return ctx.Err() }
		time.AfterFunc(time.Second, func() { close(stopping) })
		_, err := x.Run(t.Context(), w.disk)
		t.Logf("err %v trace %v steps %+v", err, w.trace, w.disk.Steps[0])
		if len(w.trace) > 0 {
			t.Error("the step was begun again though only its check was stopped")
		}
	})
}

func TestACancelDuringVerifyRunsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, job("a:verify=yes b"))
		w.disk.State, w.disk.Steps[0].State, w.disk.Steps[0].Attempts = Running, Running, 1
		x := w.executor()
		w.board.check = func(ctx context.Context, c json.RawMessage) error { <-ctx.Done(); return ctx.Err() }
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(Cancel{}) })
		_, err := x.Run(ctx, w.disk)
		t.Logf("err %v trace %v %s", err, w.trace, howItEnded(w.disk))
		if len(w.trace) > 0 {
			t.Error("the step was begun again after a cancel")
		}
	})
}

// onFailure counts interruptions too; after 3 the step is given up. No undo failed
// then, so nobody is told of one.
func TestAnOnFailureStepIsGivenUpByItsOwnName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, job("a:fails=9 | b:bomb c"))
		w.run(nil, 0)
		want := "onFailure given up: step b: interrupted 3 times; before that: step a: "
		if got := w.disk.Reason; !strings.HasPrefix(got, want) || w.disk.State != Failed || w.disk.UndoFailed() {
			t.Errorf("got %s %q, undo failed: %v; want failed %q..., false", w.disk.State, got, w.disk.UndoFailed(), want)
		}
	})
}

func TestUndoDataThatCannotGoEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, job("a"))
		x := w.executor()
		f := filepath.Join(t.TempDir(), "file")
		os.WriteFile(f, nil, 0o600)
		x.Dir = f
		_, err := x.Run(t.Context(), w.disk)
		t.Log(w.disk.State, err)
		if err != nil {
			t.Error("Run failed though the job is final: the agent ends on it")
		}
	})
}

func TestStartedIsTheFirstBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, job("a b"))
		x := w.executor()
		n := 0
		x.Now = func() time.Time {
			if n++; n == 1 {
				return time.Time{}
			}
			return time.Now()
		}
		x.Run(t.Context(), w.disk)
		if !w.disk.Started.IsZero() {
			t.Error("startedAt is the begin of step 2:", w.disk.Started)
		}
	})
}

type leaky struct{}

func (leaky) Check(json.RawMessage) error      { return nil }
func (leaky) Run(context.Context, *Task) error { return errors.New("broken") }
func (leaky) Undo(_ context.Context, t *Task) error {
	return fmt.Errorf("undo said: %s", t.With)
}

func TestAnUndoReportsNoSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := job("a")
		j.Steps[0].Kind = "leaky"
		j.Steps[0].With = json.RawMessage(`{"content":{"secret":"wifi"}}`)
		w := newWorld(t, j)
		x := w.executor()
		x.Kinds["leaky"] = leaky{}
		w.board.secret = func(string) (string, error) { return "hunter2hunter2", nil }
		x.Run(t.Context(), w.disk)
		t.Log(w.disk.Reason)
		if strings.Contains(w.disk.Reason, "hunter2") {
			t.Error("leaked:", w.disk.Reason)
		}
	})
}

type echoer struct{}

func (echoer) Check(json.RawMessage) error { return nil }
func (echoer) Run(_ context.Context, t *Task) error {
	fmt.Fprint(t.Output, "psk=hunter2hunter2")
	return nil
}

func TestALaterStepReportsNoSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := job("a b")
		j.Steps[0].With = json.RawMessage(`{"content":{"secret":"wifi"}}`)
		j.Steps[0].Kind, j.Steps[1].Kind = "echo", "echo"
		w := newWorld(t, j)
		x := w.executor()
		x.Kinds["echo"] = echoer{}
		w.board.mask = func(text string) string { return redact.New([]string{"hunter2hunter2"}).Hide(text) }
		w.board.secret = func(string) (string, error) { return "hunter2hunter2", nil }
		x.Run(t.Context(), w.disk)
		for i, s := range w.disk.Steps {
			if strings.Contains(s.Output, "hunter2") {
				t.Error("leaked in step", i, s.Output)
			}
		}
	})
}

// lost trials: with maxInterruptions 9, three lost trials mean undo.
func TestThreeLostTrialsMeanUndo(t *testing.T) {
	for _, opts := range []string{"max=9", "max=1", ""} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, job("a:undo,"+opts))
			w.disk.Job.Steps[0].Confirm = &Confirm{Within: Duration(time.Minute)}
			trials := 0
			for boots := 0; !w.disk.State.Final() && boots < 20; boots++ {
				w.puts = 0
				x := w.executor()
				w.board.connect = func(context.Context) error { trials++; w.boot++; runtime.Goexit(); return nil }
				done := make(chan bool)
				go func() { defer close(done); x.Run(context.Background(), w.disk) }()
				<-done
				synctest.Wait()
			}
			t.Logf("%q: %d trials lost, %s %v", opts, trials, howItEnded(w.disk), w.trace)
			if trials != 3 {
				t.Errorf("%q: %d trials were held", opts, trials)
			}
		})
	}
}

// two cuts while it runs, then the trial is lost once.
func TestCutsBeforeATrialAreNotCountedInIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, job("a:undo"))
		w.disk.Job.Steps[0].Confirm = &Confirm{Within: Duration(time.Minute)}
		w.disk.State, w.disk.Steps[0].State, w.disk.Steps[0].Attempts, w.disk.Steps[0].Interrupted = Running, Running, 3, 2
		w.disk.Steps[0].Trial = true
		x := w.executor()
		trials := 0
		w.board.connect = func(context.Context) error { trials++; return nil }
		x.Run(t.Context(), w.disk)
		t.Log(trials, howItEnded(w.disk))
	})
}

func TestWarningsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := job("a:retry=100")
		w := newWorld(t, j)
		x := w.executor()
		x.Kinds["plain"] = bigResult{}
		x.Run(t.Context(), w.disk)
		data, _ := json.Marshal(w.disk)
		t.Logf("%d warnings, state of %d bytes in every commit", len(w.disk.Warnings), len(data))
		if len(data) > 4096 {
			t.Error("the small state grew")
		}
	})
}

type bigResult struct{}

func (bigResult) Check(json.RawMessage) error { return nil }
func (bigResult) Run(_ context.Context, t *Task) error {
	t.Result = json.RawMessage(`"` + strings.Repeat("x", 5000) + `"`)
	return errors.New("no")
}

// A trial that a step's timeout ends is not undone before the retry.
func TestATrialThatTimedOutIsUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, job("a:undo,retry=3"))
		w.disk.Job.Steps[0].Confirm = &Confirm{Within: Duration(3 * time.Minute)}
		w.disk.Job.Steps[0].Timeout = Duration(time.Minute)
		x := w.executor()
		w.board.connect = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		x.Run(t.Context(), w.disk)
		t.Log(w.trace, howItEnded(w.disk))
		if strings.Join(w.trace, " ") != "a -a" {
			t.Error("an unconfirmed change was made again without an undo:", w.trace)
		}
	})
}
