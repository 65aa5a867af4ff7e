package rollout

import (
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
)

var t0 = time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)

// underWay is a rollout whose second of three waves was opened at t0, after 10
// devices had succeeded.
func underWay() Document {
	return Document{Job: "j", Digest: "d", To: []string{"all"}, State: Running, Wave: 1, Rev: 7, By: "me", Since: stamp(t0),
		Waves: []Wave{{Name: "canary", Where: ".tags.canary"}, {Percent: 10}, {Percent: 100}},
		Soak:  executor.Duration(10 * time.Minute), Base: Counts{Devices: 10, Succeeded: 10},
		Gates:   Gates{AbortAbove: 2, MinAnswers: 80, Within: executor.Duration(2 * time.Hour)},
		Carrier: &Claim{ID: "me", Until: stamp(t0.Add(time.Minute))}, History: []Event{{At: stamp(t0), By: "ann", Did: "started"}}}
}

// with100 is what is seen when these of 100 devices of the second wave have answered so.
func with100(succeeded, failed, away int) Seen {
	w := Counts{Devices: 100, Succeeded: succeeded, Failed: failed, Away: away, Working: 100 - succeeded - failed - away}
	all := w
	all.Devices += 10
	all.Succeeded += 10
	return Seen{All: all, Wave: w, Total: 1000, Bad: []string{"gw-1"}[:min(failed, 1)]}
}

func TestDecisions(t *testing.T) {
	soaking := func(d *Document) { d.Soaking = stamp(t0) }
	for _, c := range []struct {
		name  string
		edit  func(*Document)
		see   func(*Seen)
		seen  Seen
		after time.Duration
		state State
		wave  int
		did   string // the newest event, or empty
		why   string
	}{
		{name: "nobody has answered yet", seen: with100(0, 0, 0), state: Running, wave: 1},
		{name: "offers go out first", seen: with100(0, 0, 0), see: func(s *Seen) { s.Behind = []string{"all"} }, state: Running, wave: 1, did: "offer"},
		{name: "some are at work", seen: with100(90, 0, 0), after: time.Hour, state: Running, wave: 1},
		{name: "enough have answered and nobody is at work", seen: with100(85, 0, 15), state: Running, wave: 1, did: "soak"},
		{name: "too few have answered, the others are away", seen: with100(70, 0, 30), state: Running, wave: 1},
		{name: "those away are waited for as long as within", seen: with100(70, 0, 30), after: 2 * time.Hour, state: Running, wave: 1, did: "soak"},
		{name: "online ones do not answer", seen: with100(50, 0, 10), after: 2 * time.Hour, state: Paused, wave: 1, did: "paused", why: "50 of 100 devices of wave 10 % answered within 2h0m0s (10 are away)"},
		{name: "all are away", seen: with100(0, 0, 100), after: 2 * time.Hour, state: Paused, wave: 1, did: "paused", why: "0 of 100"},
		{name: "all are away, and no answer is wanted", edit: func(d *Document) { d.Gates.MinAnswers = 0 }, seen: with100(0, 0, 100), state: Running, wave: 1, did: "soak"},
		{name: "soaks", edit: soaking, seen: with100(100, 0, 0), after: 9 * time.Minute, state: Running, wave: 1},
		{name: "has soaked", edit: soaking, seen: with100(100, 0, 0), after: 10 * time.Minute, state: Running, wave: 2, did: "opened"},
		{name: "no soak", edit: func(d *Document) { d.Soak = 0 }, seen: with100(100, 0, 0), state: Running, wave: 2, did: "opened"},
		{name: "the last wave has soaked", edit: func(d *Document) { soaking(d); d.Wave = 2 }, seen: with100(100, 0, 0), after: 10 * time.Minute, state: Done, wave: 2, did: "done"},
		{name: "failures within the limit", edit: soaking, seen: with100(98, 2, 0), after: 10 * time.Minute, state: Running, wave: 2, did: "opened"},
		{name: "so many fail that the rest does not matter", seen: with100(10, 3, 0), state: Aborted, wave: 1, did: "aborted", why: "3 of 100 have failed (3 %, at most 2 %), whatever the others do: gw-1"},
		{name: "few fail, and the rest may succeed", seen: with100(10, 2, 0), state: Running, wave: 1},
		{name: "the rest never came", edit: soaking, seen: with100(70, 2, 28), after: 10 * time.Minute, state: Aborted, wave: 1, did: "aborted", why: "2 of 72"},
		{name: "failures that were known when it was resumed", edit: func(d *Document) { soaking(d); d.Base.Failed, d.Base.Succeeded = 9, 20 }, seen: with100(91, 9, 0), after: 10 * time.Minute, state: Running, wave: 2, did: "opened"},
		{name: "unwell after the soak", edit: soaking, seen: with100(100, 0, 0), see: func(s *Seen) { s.Wave.Unwell, s.All.Unwell = 3, 3 }, after: 10 * time.Minute, state: Aborted, wave: 1, did: "aborted", why: "3 of 100"},
		{name: "unwell while it soaks", edit: soaking, seen: with100(100, 0, 0), see: func(s *Seen) { s.Wave.Unwell, s.All.Unwell = 3, 3 }, state: Running, wave: 1},
		{name: "nobody is in the wave", seen: Seen{All: Counts{Devices: 10, Succeeded: 10}, Total: 10}, state: Running, wave: 2, did: "opened", why: "no device is in wave 10 %"},
		{name: "no device is known at all", edit: func(d *Document) { d.Base = Counts{} }, state: Running, wave: 1},
		{name: "no device is known for long", edit: func(d *Document) { d.Base = Counts{} }, after: 2 * time.Hour, state: Paused, wave: 1, did: "paused", why: "no device is known"},
		{name: "an alert to pause on", seen: with100(10, 0, 0), see: func(s *Seen) { s.Alert = "hot on gw-3" }, state: Paused, wave: 1, did: "paused", why: "alert hot on gw-3"},
		{name: "cancelled", seen: with100(10, 0, 0), see: func(s *Seen) { s.Cancelled = "all" }, state: Aborted, wave: 1, did: "aborted", why: "was cancelled (all)"},
		{name: "the offer is gone", seen: with100(10, 0, 0), see: func(s *Seen) { s.Trouble = "not offered" }, state: Paused, wave: 1, did: "paused", why: "not offered"},
		{name: "answers are missing", edit: func(d *Document) { d.Base.Succeeded = 200 }, seen: with100(100, 0, 0), state: Running, wave: 1},
		{name: "answers are missing for long", edit: func(d *Document) { d.Base.Succeeded = 200 }, seen: with100(100, 0, 0), after: 2 * time.Hour, state: Paused, wave: 1, did: "paused", why: "incomplete: of 200"},
		{name: "paused", edit: func(d *Document) { d.State = Paused }, seen: with100(0, 50, 0), state: Paused, wave: 1},
		{name: "aborted, offers still wide", edit: func(d *Document) { d.State = Aborted }, seen: with100(0, 50, 0), see: func(s *Seen) { s.Behind = []string{"all"} }, state: Aborted, wave: 1, did: "offer"},
	} {
		d := underWay()
		if c.edit != nil {
			c.edit(&d)
		}
		if c.see != nil {
			c.see(&c.seen)
		}
		before := marshal(d)
		got := Decide(d, c.seen, "me", t0.Add(c.after))
		n := got.Document
		did, why := "", ""
		switch {
		case len(n.History) > 1:
			did, why = n.History[1].Did, n.History[1].Because
		case len(got.Offer) > 0:
			did = "offer"
		case got.Changed:
			did = "soak"
		}
		if n.State != c.state || n.Wave != c.wave || did != c.did || !strings.Contains(why, c.why) {
			t.Errorf("%s: got %s in wave %d, %q because %q; want %s in wave %d, %q because %q", c.name, n.State, n.Wave, did, why, c.state, c.wave, c.did, c.why)
		}
		if marshal(d) != before || got.Changed != (marshal(n) != before) || got.Changed && len(got.Offer) > 0 {
			t.Errorf("%s: a decision changes its document alone, and says so", c.name)
		}
		if n.State != Running && got.Changed && n.Carrier != nil {
			t.Errorf("%s: a carrier is named where nobody is needed", c.name)
		}
	}
}

func TestChangesByOperators(t *testing.T) {
	for _, c := range []struct {
		do    string
		from  State
		state State // empty where it cannot be done
		wave  int
		why   string
	}{
		{do: "pause", from: Running, state: Paused, wave: 1},
		{do: "pause", from: Paused, why: "rollout j is paused"},
		{do: "resume", from: Paused, state: Running, wave: 1},
		{do: "resume", from: Aborted, state: Running, wave: 1},
		{do: "resume", from: Running, why: "rollout j is running"},
		{do: "resume", from: Done, why: "rollout j is done"},
		{do: "next", from: Running, state: Running, wave: 2},
		{do: "next", from: Paused, state: Running, wave: 2},
		{do: "next", from: Aborted, why: "ratchet rollout resume j"},
		{do: "abort", from: Running, state: Aborted, wave: 1},
		{do: "abort", from: Paused, state: Aborted, wave: 1},
		{do: "abort", from: Done, why: "rollout j is done"},
		{do: "dance", from: Running, why: "want pause"},
	} {
		d := underWay()
		d.State, d.Soaking = c.from, stamp(t0)
		n, err := Change{Do: c.do, Because: "lunch", By: "ann"}.Apply(d, with100(50, 4, 0), t0.Add(time.Hour))
		if c.state == "" {
			if err == nil || !strings.Contains(err.Error(), c.why) {
				t.Errorf("%s of %s: got %v, want %q", c.do, c.from, err, c.why)
			}
			continue
		}
		e := n.History[len(n.History)-1]
		if err != nil || n.State != c.state || n.Wave != c.wave || e.By != "ann" || e.Because != "lunch" || e.Counts.Failed != 4 {
			t.Errorf("%s of %s: got %s in wave %d with %+v (%v), want %s in wave %d", c.do, c.from, n.State, n.Wave, e, err, c.state, c.wave)
		}
		if c.state == Running && (n.Base.Failed != 4 || !n.Since.Equal(t0.Add(time.Hour)) || !n.Soaking.IsZero()) {
			t.Errorf("%s of %s: what was seen by now counts again: %s", c.do, c.from, marshal(n))
		}
	}
	d := underWay()
	d.State = Paused
	if _, err := (Change{Do: "resume"}).Apply(d, Seen{Cancelled: "all"}, t0); err == nil || !strings.Contains(err.Error(), "was cancelled") {
		t.Errorf("a cancelled job was resumed: %v", err)
	}
}

func TestABadDocumentIsNamedByItsField(t *testing.T) {
	good := string(underWay().Encode())
	if _, err := Parse("j", []byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{`"wave":1`, `"wave":3`, "wave: is 3"},
		{`"wave":1`, `"wave":"one"`, "wave"},
		{`"state":"running"`, `"state":"runing"`, `state: "runing"`},
		{`"percent":10`, `"percent":100`, "waves[2]: 100 %"},
		{`"percent":10`, `"percent":-1`, "waves[1]: -1 %"},
		{`".tags.canary"`, `".tags.("`, "waves[0].where"},
		{`"soak":"10m0s"`, `"soak":10`, "soak"},
		{`"abortAbove":2`, `"abortAbove":200`, "gates.abortAbove"},
		{`"within":"2h0m0s"`, `"within":"0s"`, "gates.within"},
		{`"job":"j"`, `"job":"k"`, `job: is "k"`},
		{`"rev":7`, `"rev":0`, "rev"},
		{`"by":"me"`, `"by":""`, "by"},
		{`"to":["all"]`, `"to":[]`, "to"},
		{`"history":[{"at":"2026-11-30T09:00:00Z","by":"ann","did":"started"}]`, `"history":[]`, "history"},
		{`"rev":7`, `"rve":7`, "rve"},
		{`{"job"`, `["job"`, "rollouts/j cannot be read"},
	} {
		bad := strings.Replace(good, c.old, c.new, 1)
		if _, err := Parse("j", []byte(bad)); bad == good || err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "nothing is written to it") {
			t.Errorf("%s for %s: got %v, want %q", c.new, c.old, err, c.want)
		}
	}
}

func TestOfTwoWritesAtOnceEverybodyKeepsTheSame(t *testing.T) {
	a, b := Document{Rev: 3, By: "a"}, Document{Rev: 3, By: "b"}
	if newer(a, b) || !newer(b, a) || newer(a, a) || !newer(Document{Rev: 4, By: "a"}, b) {
		t.Error("the order of documents is no order")
	}
}

func TestALongHistoryGivesUpItsMiddle(t *testing.T) {
	d := underWay()
	for i := range 1000 {
		d = d.with(Event{By: "ann", Did: "paused", Because: strings.Repeat("é", 400), Counts: &Counts{Devices: i}})
	}
	got, err := Parse("j", d.Encode())
	if n := len(got.History); err != nil || n < 50 || n > 200 || got.History[0].Did != "started" || got.History[n-1].Counts.Devices != 999 {
		t.Errorf("%d events are left (%v), want the first and the newest", n, err)
	}
}

func TestWavesOfTheCommandLine(t *testing.T) {
	for _, c := range []struct{ canary, shares, want, err string }{
		{"", "1,10,50,100", "1 % 10 % 50 % 100 %", ""},
		{".tags.canary", " 5% , 100", "canary 5 % 100 %", ""},
		{"", "10,5", "", "waves[1]: 5 %"},
		{"", "10,101", "", "waves[1]: 101 %"},
		{"", "ten", "", `"ten" is no share`},
		{"", "", "", "is no share"},
		{".tags.(", "100", "", "waves[0].where"},
	} {
		list, err := Waves(c.canary, c.shares)
		var got []string
		for _, w := range list {
			got = append(got, w.String())
		}
		if c.err == "" && (err != nil || strings.Join(got, " ") != c.want) || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%q %q: got %q (%v), want %q %q", c.canary, c.shares, got, err, c.want, c.err)
		}
	}
}

func TestTheReachOnlyGrows(t *testing.T) {
	d := underWay()
	want := []executor.Rollout{{Where: "(.tags.canary)"}, {Percent: 10, Where: "(.tags.canary)"}, {Percent: 100}}
	for i := range d.Waves {
		if d.Wave = i; *d.Reach() != want[i] {
			t.Errorf("wave %d: got %+v, want %+v", i, *d.Reach(), want[i])
		}
	}
	d.State = Aborted
	if got := *d.Reach(); got != (executor.Rollout{}) {
		t.Errorf("aborted: got %+v, want nobody", got)
	}
}
