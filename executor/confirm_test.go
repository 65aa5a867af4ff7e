package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const (
	within = 10 * time.Second // every trial of these tests
	never  = time.Hour
)

// A scene is a job of which some steps are held on trial, and what befalls it.
// Beside the words of job there are confirm, and probe, which is confirm with a
// check.
type scene struct {
	job          string
	reach, check time.Duration // into a trial: when the broker can be reached, when its check passes
	cancel, stop moment
}

// A moment is a time after the start of a boot; boot 0 is never.
type moment struct {
	boot  int
	after time.Duration
}

func (s scene) String() string {
	return fmt.Sprintf("%q, broker after %s, check after %s, cancel %v, stop %v", s.job, s.reach, s.check, s.cancel, s.stop)
}

// A proving ground is a world that notes how trials go.
type proving struct {
	*world
	scene
	tried     map[string]int  // length of the trace when a step's trial was first on disk
	confirmed map[string]bool // since it was run last
	began     time.Time       // of the trial that is held
	cuts      int             // that came
	stops     int
	kinds     Kinds // in place of the world's
}

func prove(t *testing.T, s scene) *proving {
	j := job(s.job)
	words := strings.Fields(strings.ReplaceAll(s.job, "|", ""))
	for i, word := range words {
		step := &j.Steps
		if i >= len(j.Steps) {
			step, i = &j.OnFailure, i-len(j.Steps)
		}
		if _, opts, _ := strings.Cut(word, ":"); strings.Contains(opts, "confirm") {
			(*step)[i].Confirm = &Confirm{Within: Duration(within)}
		} else if strings.Contains(opts, "probe") {
			(*step)[i].Confirm = &Confirm{Within: Duration(within), Check: json.RawMessage(`"probe"`)}
		}
	}
	return &proving{world: newWorld(t, j), scene: s, tried: map[string]int{}, confirmed: map[string]bool{}}
}

// note remembers which steps are on trial for all that the disk knows.
func (p *proving) note() {
	for i, s := range p.disk.Steps {
		name := p.disk.Job.StepAt(i).Name
		if _, known := p.tried[name]; s.Trial && !known {
			p.tried[name] = len(p.trace)
		}
	}
}

func (p *proving) step() (Step, StepRecord) {
	i := p.disk.At.Step
	return p.disk.Job.StepAt(i), p.disk.Steps[i]
}

// Connect notes that a trial is held.
func (p *proving) Connect(ctx context.Context) error {
	p.note()
	step, rec := p.step()
	if !rec.Trial || rec.State != Running {
		p.t.Errorf("the trial of %s is held, but on disk is %+v", step.Name, rec)
	}
	p.trace = append(p.trace, "~"+step.Name)
	p.began = time.Now()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(p.reach):
	}
	p.confirmed[step.Name] = step.Confirm.Check == nil
	return nil
}

// Check knows "probe", the check of trials, and "so", that of steps which verify
// whether their change is there; others go to the world's.
func (p *proving) Check(ctx context.Context, c json.RawMessage) error {
	step, _ := p.step()
	if string(c) == `"so"` && p.effects[step.Name] {
		return nil
	}
	if string(c) != `"probe"` {
		return p.board.Check(ctx, c)
	}
	if time.Since(p.began) < p.scene.check {
		return errors.New("not yet")
	}
	p.confirmed[step.Name] = true
	return nil
}

// boot runs the job until it is final, waits, or the power goes or the agent is stopped.
func (p *proving) boot(n int, c cut) {
	p.puts, p.cut = 0, c
	p.note()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	stopping := make(chan struct{})
	if p.cancel.boot == n {
		at(p.cancel.after, func() { cancel(Cancel{}) })
	}
	if p.stop.boot == n {
		p.stops++
		at(p.stop.after, func() { close(stopping) })
	}
	x, done, r := p.executor(), make(chan bool), p.disk
	x.Stopping, x.Device, x.Gate = stopping, p, p
	p.board.await = func(context.Context) { time.Sleep(2 * time.Minute) } // the link is away
	maps.Copy(x.Kinds, p.kinds)
	r.Steps = slices.Clone(r.Steps)
	go func() {
		defer close(done)
		if _, err := x.Run(ctx, r); err != nil && !errors.Is(err, ErrStopped) {
			p.t.Errorf("Run: %v", err)
		}
	}()
	<-done
	if p.stop.boot != n {
		p.world.boot++
	}
	if c.n > 0 && p.puts >= c.n {
		p.cuts++
	}
	synctest.Wait()
}

// at runs f after d, at once for none.
func at(d time.Duration, f func()) {
	if d == 0 {
		f()
		return
	}
	time.AfterFunc(d, f)
}

// run boots until the job is final; boot i is cut at cuts[i].
func (p *proving) run(cuts []cut) {
	for n := 1; !p.disk.State.Final(); n++ {
		if n > 20 {
			p.t.Fatalf("boot loop: %v", p.trace)
		}
		var c cut
		if n <= len(cuts) {
			c = cuts[n-1]
		}
		p.boot(n, c)
	}
}

// broken tells which promise was not kept, or "".
func (p *proving) broken() string {
	if p.finals != 1 {
		return fmt.Sprintf("%d final Records", p.finals)
	}
	for i, s := range p.disk.Steps {
		step := p.disk.Job.StepAt(i)
		if why := p.brokenFor(step, s); why != "" {
			return step.Name + ": " + why
		}
	}
	return ""
}

func (p *proving) brokenFor(step Step, s StepRecord) string {
	trials, from := 0, p.tried[step.Name]
	for i, what := range p.trace {
		if what == "~"+step.Name {
			trials++
		}
		if _, tried := p.tried[step.Name]; tried && i >= from && what == step.Name {
			return "it was run again after its trial had begun"
		}
	}
	switch {
	case trials > maxInterruptions+p.stops:
		return fmt.Sprintf("its trial was held %d times", trials)
	case s.State == Running || s.State == Stopped || s.Trial:
		return "it is on its way in a final Record"
	case s.State == Succeeded && step.Confirm != nil && !p.confirmed[step.Name]:
		return "it succeeded, and no trial confirmed it"
	case s.Undo != nil && s.Undo.GivenUp: // it may leave what it finds
	case s.State == Succeeded && step.Kind == "undo" && !p.effects[step.Name]:
		return "it succeeded, and its change is gone"
	case s.State != Succeeded && p.effects[step.Name]:
		return "it is " + string(s.State) + ", and its change stays"
	}
	return ""
}

// A trial, step by step: ~x is the trial of x.
func TestATrialConfirmsOrUndoes(t *testing.T) {
	const late = "not confirmed within 10s: no connection to the broker: timed out after 10s"
	for _, c := range []struct {
		scene
		trace, end string
	}{
		{scene{job: "a:undo,confirm b"}, "a ~a b", "succeeded: succeeded succeeded"},
		{scene{job: "a:undo,confirm b", reach: within - time.Second}, "a ~a b", "succeeded: succeeded succeeded"},
		{scene{job: "a:undo,confirm b", reach: within + time.Second}, "a ~a -a", "failed step a: " + late + "; undone: failed pending"},
		{scene{job: "a:undo,confirm,retry=5 b", reach: never}, "a ~a -a", "failed step a: " + late + "; undone: failed pending"},
		{scene{job: "a:undo,confirm,on b", reach: never}, "a ~a -a b", "succeeded: failed succeeded"},
		{scene{job: "a:confirm,retry=5 b", reach: never}, "a ~a", "failed step a: " + late + ": failed pending"},
		{scene{job: "a:undo,probe b", check: within - time.Second}, "a ~a b", "succeeded: succeeded succeeded"},
		{scene{job: "a:undo,probe b", check: within + time.Second}, "a ~a -a", "failed step a: not confirmed within 10s: not yet; undone: failed pending"},
		{scene{job: "a:undo,probe b", reach: within - time.Second, check: within - time.Second}, "a ~a b", "succeeded: succeeded succeeded"},
		{scene{job: "a:undo,probe,retry=5 b", check: never}, "a ~a -a", "failed step a: not confirmed within 10s: not yet; undone: failed pending"},
		{scene{job: "a:fails=1,undo,confirm,retry=2 b"}, "a a ~a b", "succeeded: succeeded succeeded"},
		{scene{job: "a:undo,back b:undo,confirm | c", reach: never}, "a b ~b -b -a c", "failed step b: " + late + "; undone: undone failed succeeded"},
		{scene{job: "a:undo,confirm,stuck b", reach: never}, "a ~a -a -a -a", "failed undo failed: step a: not confirmed within 10s: no connection to the broker: timed out after 10s; its undo: stuck: failed pending"},
		{scene{job: "a:undo,confirm b", reach: never, cancel: moment{1, 5 * time.Second}}, "a ~a -a", "cancelled: failed pending"},
		{scene{job: "a:undo,confirm b", reach: never, stop: moment{1, 5 * time.Second}}, "a ~a ~a -a", "failed step a: " + late + "; undone: failed pending"},
		{scene{job: "a:undo,reboot,confirm b"}, "a a ~a b", "succeeded: succeeded succeeded"},
	} {
		t.Run(c.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := prove(t, c.scene)
				p.run(nil)
				if got := strings.Join(p.trace, " "); got != c.trace {
					t.Errorf("trace: got %q, want %q", got, c.trace)
				}
				if got := howItEnded(p.disk); got != c.end {
					t.Errorf("end: got %q, want %q", got, c.end)
				}
				if why := p.broken(); why != "" {
					t.Error(why)
				}
			})
		})
	}
}

// The power goes in each of the first trials, in a trial that would have been
// confirmed a second later; before is how far the step had come by then.
func TestPowerLostOnTrialBeginsTheTrialAgain(t *testing.T) {
	lost := cut{n: 2} // the commit behind a trial that was begun again
	for _, c := range []struct {
		job        string
		cuts       []cut
		trace, end string
	}{
		{"a:undo,confirm b", []cut{{n: 3}}, "a ~a ~a b", "succeeded: succeeded succeeded"},
		{"a:undo,confirm b", []cut{{n: 3}, lost}, "a ~a ~a ~a b", "succeeded: succeeded succeeded"},
		{"a:undo,confirm b", []cut{{n: 3}, lost, lost}, "a ~a ~a ~a -a", "failed step a: interrupted 3 times; undone: failed pending"},
		{"a:confirm b", []cut{{n: 3}, lost, lost}, "a ~a ~a ~a", "failed step a: interrupted 3 times: failed pending"},
		{"a:undo,once,confirm b", []cut{{n: 3}}, "a ~a ~a b", "succeeded: succeeded succeeded"},
		{"a:undo,verify=no,confirm b", []cut{{n: 3}}, "a ~a ~a b", "succeeded: succeeded succeeded"},
		{"a:undo,once,confirm b", []cut{{n: 2}}, "a -a", "failed step a: interrupted; undone: failed pending"},
		{"a:undo,verify=no,confirm b", []cut{{n: 2}}, "a ? a ~a b", "succeeded: succeeded succeeded"},
		{"a:undo,verify=so,confirm b", []cut{{n: 2}}, "a ~a b", "succeeded: succeeded succeeded"},
		{"a:undo,confirm b", []cut{{n: 2}, {n: 2}}, "a a a ~a b", "succeeded: succeeded succeeded"},
	} {
		t.Run(fmt.Sprint(c.job, c.cuts), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := prove(t, scene{job: c.job, reach: within - time.Second})
				p.run(c.cuts)
				if got := strings.Join(p.trace, " "); got != c.trace {
					t.Errorf("trace: got %q, want %q", got, c.trace)
				}
				if got := howItEnded(p.disk); got != c.end {
					t.Errorf("end: got %q, want %q", got, c.end)
				}
			})
		})
	}
}

// A talker has something to say while it makes its change.
type talker struct{ undoKind }

func (k talker) Run(ctx context.Context, t *Task) error {
	t.Result = json.RawMessage(`{"channel":36}`)
	fmt.Fprintln(t.Output, "applied")
	return k.undoKind.Run(ctx, t)
}

func TestWhatAChangeSaidOutlivesALostTrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := prove(t, scene{job: "a:undo,confirm b", reach: within / 2})
		p.kinds = Kinds{"undo": talker{undoKind{kind{w: p.world, undo: true}}}}
		p.run([]cut{{n: 3}, {n: 2}})
		a := p.disk.Steps[0]
		if a.State != Succeeded || a.Output != "applied\n" || string(a.Result) != `{"channel":36}` {
			t.Errorf("%s, output %q, result %s", a.State, a.Output, a.Result)
		}
		if want := (within / 2).Milliseconds(); a.Millis != want {
			t.Errorf("%d ms, want the %d of the last trial", a.Millis, want)
		}
	})
}

// A trial only waits: it does not keep the agent from ending, and a link that
// the change has cut is not waited for before it is held again.
func TestATrialHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := prove(t, scene{job: "a:undo,confirm b", reach: never, stop: moment{3, within / 2}})
		began := time.Now()
		p.run([]cut{{n: 2, after: true}, {n: 1, after: true}})
		if got, want := strings.Join(p.trace, " "), "a ~a ~a -a"; got != want {
			t.Errorf("trace: got %q, want %q", got, want)
		}
		if took := time.Since(began); took != within/2+within {
			t.Errorf("it took %s, want the %s until the stop and one whole trial", took, within/2)
		}
	})
}

// provings mix what a step on trial can declare.
var provings = []string{
	"a:undo,confirm b",
	"a:undo,back b:undo,probe,retry=3 c",
	"a:confirm,once b",
	"a:undo,once,probe b:fails=9",
	"a:undo,verify=no,confirm,on b",
	"a:undo,verify=so,probe b",
	"a:fails=9 | b:undo,stuck,confirm c:undo,confirm",
	"a:undo,reboot,confirm,back b:fails=9",
	"a:undo,stuck,confirm b",
}

// TestConfirmMatrix cuts the power before and after every commit of jobs with a
// trial, with the broker and the check there, late and away, and with a cancel
// or a stop of the agent: cuts come in sequences of up to three, or two beside
// a cancel or a stop. Whatever happens, a change that stays was confirmed in a
// trial that came to its end, and one that was not confirmed is gone.
func TestConfirmMatrix(t *testing.T) {
	for _, text := range provings {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				outcomes := map[string]int{}
				for _, s := range scenes(text) {
					most := 3
					if s.cancel.boot+s.stop.boot > 0 {
						most = 2
					}
					s.everywhere(t, most, nil, outcomes)
				}
				for _, o := range slices.Sorted(maps.Keys(outcomes)) {
					t.Logf("%6d runs, a last cut behind one in %d: %s", outcomes[o], thin, o)
				}
			})
		})
	}
}

// scenes are all the ways in which a job's trials can go.
func scenes(text string) (all []scene) {
	befalls := []scene{{}}
	for boot := 1; boot <= 3; boot++ {
		befalls = append(befalls, scene{cancel: moment{boot, 0}}, scene{cancel: moment{boot, within / 2}}, scene{stop: moment{boot, within / 2}})
	}
	checks := []time.Duration{0}
	if strings.Contains(text, "probe") {
		checks = append(checks, within-time.Second, within+time.Second)
	}
	for _, reach := range []time.Duration{0, within - time.Second, within + time.Second} {
		for _, check := range checks {
			for _, s := range befalls {
				s.job, s.reach, s.check = text, reach, check
				all = append(all, s)
			}
		}
	}
	return all
}

// everywhere runs the scene with the given cuts and, below most, with every
// further cut behind them. It reports whether the last of the cuts came at all.
func (s scene) everywhere(t *testing.T, most int, cuts []cut, outcomes map[string]int) bool {
	p := prove(t, s)
	p.run(cuts)
	if p.cuts < len(cuts) {
		return false
	}
	if why := p.broken(); why != "" || t.Failed() {
		t.Fatalf("%s, cuts %v: %s; did %s; %s; effects %v", s, cuts, why, strings.Join(p.trace, " "), howItEnded(p.disk), p.effects)
	}
	outcomes[outcome(p.disk)]++
	if len(cuts) == most || len(cuts) == most-1 && cuts[most-2].n%thin != 0 {
		return true
	}
	more := func(c cut) bool { return s.everywhere(t, most, append(slices.Clone(cuts), c), outcomes) }
	for n := 1; more(cut{n: n}); n++ {
		more(cut{n: n, after: true})
	}
	return true
}

// outcome is how the step on trial ended, without what varies in its reason.
func outcome(r Record) string {
	for i, s := range r.Steps {
		if r.Job.StepAt(i).Confirm != nil {
			return strings.TrimSpace(fmt.Sprintf("job %s, step on trial %s %s", r.State, s.State, s.Reason))
		}
	}
	return ""
}
