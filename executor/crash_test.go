package executor

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
)

// jobs mixes what a job can declare.
var mixes = []string{
	"a b c d",
	"a:undo,back b:once c:undo d:verify=yes e:fails=9",
	"a:fails=1,retry=3 b:reboot c:once,retry=2",
	"a:undo,back b:reboot c:undo,fails=9 | d e:fails=1",
	"a:undo,fails=9,on b:verify=no c:once,on d",
	"a:undo,back,stuck b:undo c:once,fails=9 | d",
}

// TestPowerCutAtEveryPut cuts the power before and after every commit, in
// sequences of up to three cuts, with and without a cancel, and holds the
// promises against what is left.
func TestPowerCutAtEveryPut(t *testing.T) {
	for _, mix := range mixes {
		t.Run(mix, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				runs := 0
				for cancelAt := range 4 {
					runs += cutEverywhere(t, mix, cancelAt, nil)
				}
				t.Logf("%d runs, with a third cut behind one in %d of the second", runs, thin)
			})
		})
	}
}

// cutEverywhere runs the job with the given cuts and, below three, with every
// further cut behind them.
func cutEverywhere(t *testing.T, mix string, cancelAt int, cuts []cut) (runs int) {
	w := newWorld(t, job(mix))
	w.run(cuts, cancelAt)
	if t.Failed() || !w.keeps(len(cuts)) {
		t.Fatalf("after cuts %v, cancel at boot %d: %s; %s; effects %v", cuts, cancelAt, strings.Join(w.trace, " "), howItEnded(w.disk), w.effects)
	}
	if len(cuts) == 3 || len(cuts) == 2 && cuts[1].n%thin != 0 {
		return 1
	}
	for n := 1; ; n++ {
		for _, after := range []bool{false, true} {
			next := append(append([]cut{}, cuts...), cut{n, after})
			if !reached(t, mix, cancelAt, next) {
				return runs + 1
			}
			runs += cutEverywhere(t, mix, cancelAt, next)
		}
	}
}

// reached reports whether the last of the cuts comes at all.
func reached(t *testing.T, mix string, cancelAt int, cuts []cut) bool {
	w := newWorld(t, job(mix))
	for i, c := range cuts {
		if w.disk.State.Final() {
			return false
		}
		w.puts, w.cut = 0, c
		w.once(cancelAt == i+1)
	}
	return w.puts >= cuts[len(cuts)-1].n
}

// keeps reports whether a world that came to rest keeps the promises.
func (w *world) keeps(cuts int) bool {
	ok := w.finals == 1 && w.disk.State.Final()
	starts := map[string]int{}
	for _, name := range w.trace {
		starts[name]++
	}
	gaveUp := false // an undo that failed too often may leave what it finds
	for i, s := range w.disk.Steps {
		step := w.disk.Job.StepAt(i)
		gaveUp = gaveUp || s.Undo != nil && s.Undo.GivenUp
		if step.IfInterrupted == Fail && starts[step.Name] > max(1, step.Retry.Attempts) {
			ok = false // at most once, its retries aside
		}
		if starts[step.Name] > cuts+1+s.Failures+1 {
			ok = false // a cut costs one start at most, a reboot one
		}
		if s.State == Succeeded && s.Attempts == 0 {
			ok = false
		}
	}
	for name := range w.effects { // what a failed or undone step left behind
		s := w.stepNamed(name)
		if !gaveUp && (s.State == Failed || s.State == Undone) {
			ok = false
		}
		if !gaveUp && w.disk.Job.UndoOnFailure && w.disk.State != Succeeded {
			ok = false
		}
	}
	return ok
}

func (w *world) stepNamed(name string) StepRecord {
	for i, s := range w.disk.Steps {
		if w.disk.Job.StepAt(i).Name == name {
			return s
		}
	}
	panic(fmt.Sprintf("no step %s", name))
}
