package executor

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// This file writes the walk down once more, as a small machine that knows no
// Record, and compares it with the code: for every job that can be made of the
// forms below and for every place of every cut, the ends that the code reaches are
// exactly those that the specification allows.

// forms are what a step can be; the model reads them by their words.
var forms = []string{"", "undo", "once", "undo,once", "verify=yes", "verify=no", "undo,fails=9", "fails=1,retry=2", "undo,on,fails=9"}

// A model is where the specification's machine is.
type model struct {
	steps   []form
	states  []State // of the steps
	forward int     // how many steps the job has, those of onFailure aside
	back    bool    // undoOnFailure
	cuts    int     // that may still come
	cancel  bool    // a cancel may still come, with a boot
	there   bool    // it has come, and nothing has taken it up
	verdict State   // once the job is lost
	gaveUp  bool    // an undo or a step of onFailure was cut too often
}

// cut returns what the machine can be behind one more cut; none where no more come.
func (m model) cut() []model {
	if m.cuts == 0 {
		return nil
	}
	m.cuts--
	if !m.cancel {
		return []model{m}
	}
	cancelled := m
	cancelled.cancel, cancelled.there = false, true
	return []model{m, cancelled}
}

// A form is what one step is.
type form struct {
	undo, once, fails, tolerated bool
}

func formOf(words string) (f form) {
	for word := range strings.SplitSeq(words, ",") {
		switch word {
		case "undo":
			f.undo = true
		case "once":
			f.once = true
		case "fails=9":
			f.fails = true
		case "on":
			f.tolerated = true
		}
	}
	return f
}

// ends are what the job can end as, from before the i-th step on.
func (m model) ends(i int, ends map[string]bool) {
	switch {
	case i == m.forward:
		m.close(Succeeded, ends)
	case m.there:
		m.verdict = Cancelled
		m.walkBack(i-1, ends)
	default:
		m.step(i, 0, ends)
	}
}

// step is the i-th step, which has been cut so often, and begins now or goes on.
func (m model) step(i, interrupted int, ends map[string]bool) {
	f := m.steps[i]
	if f.fails {
		m.with(i, Failed).failed(i, ends)
	} else {
		m.with(i, Succeeded).done(i, ends)
	}
	interrupted++
	for _, m := range m.cut() {
		switch {
		case m.there && i < m.forward:
			m.verdict = Cancelled
			m.with(i, Failed).failed(i, ends)
		case m.there:
			m.with(i, Failed).close(m.verdict, ends)
		case interrupted == 3, f.once:
			m.gaveUp = m.gaveUp || interrupted == 3 && i >= m.forward
			m.with(i, Failed).failed(i, ends)
		default: // run again, or its check says that it was done; either may be cut
			m.step(i, interrupted, ends)
		}
	}
}

func (m model) with(i int, s State) model {
	m.states = slices.Clone(m.states)
	m.states[i] = s
	return m
}

// done goes on behind the i-th step.
func (m model) done(i int, ends map[string]bool) {
	if i < m.forward {
		m.ends(i+1, ends)
		return
	}
	m.mend(i+1, ends)
}

// failed takes back what the failed step itself has done.
func (m model) failed(i int, ends map[string]bool) {
	if !m.steps[i].undo {
		m.afterFailure(i, ends)
		return
	}
	m.undo(0, func(m model) { m.afterFailure(i, ends) })
}

// undo is one undo that has been cut so often. then goes on behind it.
func (m model) undo(interrupted int, then func(model)) {
	then(m)
	interrupted++
	for _, m := range m.cut() {
		if interrupted == 3 {
			m.gaveUp = true
			then(m)
		} else {
			m.undo(interrupted, then)
		}
	}
}

func (m model) afterFailure(i int, ends map[string]bool) {
	switch {
	case i >= m.forward:
		m.mend(i+1, ends)
	case m.steps[i].tolerated && m.verdict == "" && !m.gaveUp:
		m.ends(i+1, ends)
	default:
		if m.verdict == "" {
			m.verdict = Failed
		}
		m.walkBack(i-1, ends)
	}
}

// walkBack takes back the done steps, the newest first.
func (m model) walkBack(i int, ends map[string]bool) {
	for ; i >= 0; i-- {
		if !m.back || m.states[i] != Succeeded || !m.steps[i].undo {
			continue
		}
		at := i
		m.undo(0, func(after model) {
			if after.gaveUp == m.gaveUp {
				after = after.with(at, Undone)
			}
			after.walkBack(at-1, ends)
		})
		return
	}
	m.mend(m.forward, ends)
}

// mend runs the steps of onFailure.
func (m model) mend(i int, ends map[string]bool) {
	if i == len(m.steps) || m.verdict == Cancelled {
		m.close(m.verdict, ends)
		return
	}
	if m.there { // the steps that are left are dropped
		m.close(m.verdict, ends)
		return
	}
	m.step(i, 0, ends)
}

func (m model) close(s State, ends map[string]bool) {
	if m.gaveUp {
		s = Failed
	}
	ends[fmt.Sprint(s, m.states)] = true
}

// specified are the ends that the specification allows.
func specified(j string, cuts int) map[string]bool {
	m := model{cuts: cuts, cancel: true}
	forward, onFailure, _ := strings.Cut(j, "|")
	for _, words := range strings.Fields(forward) {
		_, options, _ := strings.Cut(words, ":")
		m.back = m.back || strings.Contains(options, "back")
		m.steps = append(m.steps, formOf(options))
	}
	m.forward = len(m.steps)
	for range strings.Fields(onFailure) {
		m.steps = append(m.steps, form{})
	}
	for range m.steps {
		m.states = append(m.states, "")
	}
	ends := map[string]bool{}
	m.ends(0, ends)
	m.cancel, m.there = false, true
	m.ends(0, ends)
	return ends
}

// A node is what survives a cut, and what may still come.
type node struct {
	disk      Record
	effects   map[string]bool
	boot      int
	cuts      int
	cancelled bool
}

func (n node) key(t *testing.T) string {
	disk, err := json.Marshal(n.disk)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(string(disk), n.effects, n.cuts, n.cancelled)
}

// An explorer visits every node that a job's code can reach.
type explorer struct {
	t    *testing.T
	text string
	seen map[string]bool
	ends map[string]bool
	runs int
}

// visit goes on from a node in every way: with no cut, and with one before and
// behind each commit; without a cancel, and with one.
func (e *explorer) visit(n node) {
	if key := n.key(e.t); e.seen[key] {
		return
	} else {
		e.seen[key] = true
	}
	if n.disk.State.Final() {
		states := make([]State, len(n.disk.Steps))
		for i, s := range n.disk.Steps {
			states[i] = s.State
		}
		e.ends[fmt.Sprint(n.disk.State, states)] = true
		return
	}
	for _, cancelled := range []bool{false, true} {
		if n.cancelled && !cancelled {
			continue
		}
		e.visit(e.boot(n, cut{}, cancelled))
		for at := 1; n.cuts > 0; at++ {
			before := e.boot(n, cut{n: at}, cancelled)
			if before.cuts == n.cuts { // so many commits there were not
				break
			}
			e.visit(before)
			e.visit(e.boot(n, cut{n: at, after: true}, cancelled))
		}
	}
}

// boot runs the job once from the node, to its end or to the cut.
func (e *explorer) boot(n node, c cut, cancelled bool) node {
	e.runs++
	w := newWorld(e.t, job(e.text))
	w.disk, w.effects, w.boot, w.cut = n.disk, maps.Clone(n.effects), n.boot, c
	w.once(cancelled)
	after := node{w.disk, w.effects, w.boot, n.cuts, cancelled}
	if c.n > 0 && w.puts >= c.n {
		after.cuts--
		after.boot++
	}
	return after
}

// TestTheWalkIsWhatItsSpecificationSays explores jobs of one step and three cuts,
// after which a step is given up, and of two steps and two cuts; `make model` those
// of up to three steps and four cuts.
func TestTheWalkIsWhatItsSpecificationSays(t *testing.T) {
	bounds := [][2]int{{1, 3}, {2, 2}} // steps, cuts
	if text := os.Getenv("RATCHET_MODEL"); text != "" {
		var b [2]int
		if _, err := fmt.Sscan(text, &b[0], &b[1]); err != nil {
			t.Fatalf("RATCHET_MODEL: %v: want how many steps and how many cuts", err)
		}
		bounds = [][2]int{b}
	}
	for _, b := range bounds {
		compare(t, b[0], b[1])
	}
}

// compare explores all jobs of up to so many steps, with up to so many cuts.
func compare(t *testing.T, steps, cuts int) {
	jobs, nodes, runs := 0, 0, 0
	for _, text := range all(steps) {
		synctest.Test(t, func(t *testing.T) {
			e := &explorer{t: t, text: text, seen: map[string]bool{}, ends: map[string]bool{}}
			w := newWorld(t, job(text))
			e.visit(node{disk: w.disk, boot: 1, cuts: cuts, effects: map[string]bool{}})
			jobs, nodes, runs = jobs+1, nodes+len(e.seen), runs+e.runs
			want := specified(text, cuts)
			for end := range e.ends {
				if !want[end] {
					t.Errorf("%s: ends as %s, which is not specified", text, end)
				}
			}
			for end := range want {
				if !e.ends[end] {
					t.Errorf("%s: never ends as %s, which is specified", text, end)
				}
			}
		})
		if t.Failed() {
			break
		}
	}
	t.Logf("%d jobs of up to %d steps, %d cuts: %d states, %d runs", jobs, steps, cuts, nodes, runs)
}

// all are the jobs of up to n steps: of every form, with and without
// undoOnFailure, with and without onFailure.
func all(n int) (jobs []string) {
	tuples := []string{""}
	for i := range n {
		var longer []string
		for _, t := range tuples {
			for _, f := range forms {
				longer = append(longer, strings.TrimSpace(fmt.Sprintf("%s %c:%s", t, 'a'+i, f)))
			}
		}
		tuples = longer
		for _, t := range tuples {
			jobs = append(jobs, t, t+",back", t+" | z", t+",back | z")
		}
	}
	return jobs
}
