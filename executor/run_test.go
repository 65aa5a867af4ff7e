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

// The string tables: a job, what acted in which order (-x is the undo of x, ?
// a check), and how the job and its steps ended.
func TestRun(t *testing.T) {
	for _, c := range []struct{ job, trace, end string }{
		{"a b c", "a b c", "succeeded: succeeded succeeded succeeded"},
		{"a b:fails=9 c", "a b", "failed step b: broken: succeeded failed pending"},
		{"a:fails=1,on b", "a b", "succeeded: failed succeeded"},
		{"a:fails=2,retry=3 b", "a a a b", "succeeded: succeeded succeeded"},
		{"a:fails=3,retry=3 b", "a a a", "failed step a: broken: failed pending"},
		{"a:undo,back b c:undo d:fails=9", "a b c d -c -a", "failed step d: broken: undone succeeded undone failed"},
		{"a:undo b:fails=9", "a b", "failed step b: broken: succeeded failed"},
		{"a:undo,fails=9 b", "a -a", "failed step a: broken; undone: failed pending"},
		{"a:undo,fails=9,on b", "a -a b", "succeeded: failed succeeded"},
		{"a:undo,back b:fails=9 | c d", "a b -a c d", "failed step b: broken: undone failed succeeded succeeded"},
		{"a:fails=9 | b:fails=9 c", "a b c", "failed step a: broken: failed failed succeeded"},
		{"a | b", "a", "succeeded: succeeded pending"},
		{"a:undo,back,stuck b:fails=9 | c", "a b -a -a -a c", "failed undo failed: step a: stuck: succeeded failed succeeded"},
		{"a:undo,back,none b:fails=9 | c", "a b -a c", "failed step b: broken: succeeded failed succeeded"},
		{"a:undo,fails=9,none b", "a -a", "failed step a: broken; a: it has no undo: what it did stays: failed pending"},
		{"a:reboot b", "a a b", "succeeded: succeeded succeeded"},
		{"a:bomb b", "a a a", "failed step a: interrupted 3 times: failed pending"},
		{"a:bomb,max=1 b", "a", "failed step a: interrupted 1 times: failed pending"},
		{"a:undo,bomb b", "a a a -a", "failed step a: interrupted 3 times; undone: failed pending"},
		{"a:bomb,once,retry=5 b", "a", "failed step a: interrupted: failed pending"},
		{"a:bomb,verify=yes b", "a ? b", "succeeded: succeeded succeeded"},
		{"a:bomb,verify=no b", "a ? a ? a", "failed step a: interrupted 3 times: failed pending"},
		{"a:reboot,once b", "a a b", "succeeded: succeeded succeeded"},
	} {
		t.Run(c.job, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, job(c.job))
				w.run(nil, 0)
				if got := strings.Join(w.trace, " "); got != c.trace {
					t.Errorf("trace: got %q, want %q", got, c.trace)
				}
				if got := howItEnded(w.disk); got != c.end {
					t.Errorf("end: got %q, want %q", got, c.end)
				}
			})
		})
	}
}

func howItEnded(r Record) string {
	words := []string{strings.TrimSpace(string(r.State)+" "+r.Reason) + ":"}
	for _, s := range r.Steps {
		if s.State == "" {
			s.State = Pending
		}
		words = append(words, string(s.State))
	}
	return strings.Join(words, " ")
}

// A job of N steps costs N+1 commits here, and one for Accept.
func TestOneCommitPerBoundary(t *testing.T) {
	for text, want := range map[string]int{"a": 2, "a b c d e f g h i j": 11, "a:fails=1,retry=2": 4} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, job(text))
			w.run(nil, 0)
			if w.puts != want {
				t.Errorf("%s: got %d commits, want %d", text, w.puts, want)
			}
		})
	}
}

// slow is a kind that works until it is told to end.
type slow struct{ until string }

func (slow) Check(json.RawMessage) error { return nil }

func (s slow) Run(ctx context.Context, t *Task) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.Stopping:
		if s.until == "stop" {
			return errors.New("terminated")
		}
		<-ctx.Done()
		return ctx.Err()
	}
}

func runSlow(t *testing.T, j Job, k Kind, x Executor, ctx context.Context) (Record, error) {
	w := newWorld(t, j)
	x.Kinds, x.Journal, x.Device, x.Gate, x.Boot = Kinds{"plain": k}, w, &w.board, &w.board, "1"
	_, err := x.Run(ctx, w.disk)
	return w.disk, err
}

func TestTimeouts(t *testing.T) {
	for _, c := range []struct {
		name, want string
		edit       func(*Job)
	}{
		{"of a step", "failed step a: timed out after 5s: failed pending", func(j *Job) { j.Steps[0].Timeout = Duration(5 * time.Second) }},
		{"of a step with a retry", "failed step a: timed out after 5s: failed pending", func(j *Job) {
			j.Steps[0].Timeout, j.Steps[0].Retry.Attempts = Duration(5*time.Second), 2
		}},
		{"of the job, whatever the step tolerates", "failed step a: the job timed out after 7s: failed pending", func(j *Job) {
			j.Timeout, j.Steps[0].Retry.Attempts, j.Steps[0].ContinueOnFailure = Duration(7*time.Second), 9, true
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := job("a b")
				c.edit(&j)
				r, err := runSlow(t, j, slow{}, Executor{}, t.Context())
				if got := howItEnded(r); err != nil || got != c.want {
					t.Errorf("got %q, %v; want %q", got, err, c.want)
				}
			})
		})
	}
}

func TestCancelEndsARunningStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(Cancel{}) })
		r, err := runSlow(t, job("a:retry=3 b | c"), slow{}, Executor{}, ctx)
		if got, want := howItEnded(r), "cancelled: failed pending pending"; err != nil || got != want {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
		if r.Steps[0].Reason != "cancelled" {
			t.Errorf("reason: got %q", r.Steps[0].Reason)
		}
	})
}

// A stopped step is not an interrupted one: it is not counted.
func TestStopMarksTheStep(t *testing.T) {
	for _, until := range []string{"grace", "stop"} {
		t.Run(until, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stopping, began := make(chan struct{}), time.Now()
				time.AfterFunc(time.Second, func() { close(stopping) })
				r, err := runSlow(t, job("a b"), slow{until}, Executor{Stopping: stopping}, t.Context())
				if !errors.Is(err, ErrStopped) || r.Steps[0].State != Stopped || r.Steps[0].Interrupted != 0 {
					t.Errorf("got %v and %+v", err, r.Steps[0])
				}
				if until == "grace" && time.Since(began) != time.Second+grace {
					t.Errorf("the step got %s", time.Since(began)-time.Second)
				}
			})
		})
	}
}

func TestAPanickingKindFailsItsStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := runSlow(t, job("a b"), panics{}, Executor{}, t.Context())
		if got := howItEnded(r); err != nil || got != "failed step a: panic: boom (a bug in ratchet: please report it): failed pending" {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

type panics struct{}

func (panics) Check(json.RawMessage) error      { return nil }
func (panics) Run(context.Context, *Task) error { panic("boom") }

// flaky is a journal whose disk is full for a while.
type flaky struct {
	*world
	fails int
}

func (f *flaky) Put(r Record) error {
	if f.fails--; f.fails >= 0 {
		return errors.New("no space left on device")
	}
	return f.world.Put(r)
}

func TestAFailedCommitIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, job("a b"))
		x, told := w.executor(), 0
		x.Journal = &flaky{world: w, fails: 5}
		x.OnCommit = func(err error) {
			if err != nil {
				told++
			}
		}
		if _, err := x.Run(t.Context(), w.disk); err != nil || told != 5 {
			t.Errorf("got %v, told of %d failures", err, told)
		}
		if got := howItEnded(w.disk); got != "succeeded: succeeded succeeded" {
			t.Errorf("got %q", got)
		}
	})
}

func TestAGatedJobWaitsBetweenSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, job("a b"))
		x := w.executor()
		w.board.hold = func(r Record) string {
			if r.At.Step == 1 {
				return "outside its window"
			}
			return ""
		}
		_, err := x.Run(t.Context(), w.disk)
		if want := (Wait{Reason: "outside its window"}); err != want {
			t.Fatalf("got %v, want %v", err, want)
		}
		if got := howItEnded(w.disk); got != "running: succeeded pending" {
			t.Errorf("on disk: %q", got)
		}
	})
}

// A step's when sees every step, those that had nothing to say too.
func TestWhenSeesTheStepsBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := job("a b c")
		j.Steps[1].When = `.steps.a.attempts > 1`
		j.Steps[2].When = `.steps.b.state == "skipped" and .steps.a.result == null`
		w := newWorld(t, j)
		w.run(nil, 0)
		if got, want := howItEnded(w.disk), "succeeded: succeeded skipped succeeded"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
