package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
)

const day = 24 * time.Hour

// wholeIDs lists the Records that still have their text.
func wholeIDs(t *testing.T, db *DB) string {
	t.Helper()
	all, err := db.Records()
	all = slices.DeleteFunc(all, func(r executor.Record) bool { return r.Text == nil })
	return ids(all, err)
}

func TestHistoryIsCutToItsLastLine(t *testing.T) {
	for _, c := range []struct {
		name string
		h    History
		want string // whole ones
	}{
		{"by count", History{Count: 2}, "running untold c d"},
		{"by bytes", History{Bytes: 1500}, "running untold d"},
		{"not at all", History{}, "a b running untold c d"},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := open(t, Options{})
			for _, id := range []string{"a", "b", "running", "untold", "c", "d"} {
				r := accept(t, db, job(t, id, 1, ""))
				switch id {
				case "running":
				case "untold":
					r.Rev, r.State = 2, executor.Failed
					mustPut(t, db, r)
				default:
					r.Reason = strings.Repeat("é", 300)
					finish(t, db, r, executor.Failed)
				}
			}
			before := db.Commits()
			forgotten, err := db.Prune(noon, c.h)
			if err != nil || forgotten != nil {
				t.Fatalf("Prune = %v, %v, want nothing forgotten", forgotten, err)
			}
			if got, most := db.Commits()-before, uint64(1); got > most {
				t.Errorf("%d commits, want at most %d", got, most)
			}
			for range 2 {
				if got := wholeIDs(t, db); got != c.want {
					t.Errorf("whole: got %q, want %q", got, c.want)
				}
				if got, want := ids(db.Records()), "a b running untold c d"; got != want {
					t.Errorf("known: got %q, want %q", got, want)
				}
				db = reopen(t, db)
			}
			before = db.Commits()
			if _, err := db.Prune(noon, c.h); err != nil || db.Commits() != before {
				t.Errorf("the second time: %v, %d commits, want none", err, db.Commits()-before)
			}
		})
	}
}

func TestALineStillKnowsItsJob(t *testing.T) {
	db := open(t, Options{})
	r := job(t, "j1", 1, `"expires":"2026-12-24T00:00:00Z",`)
	done := finish(t, db, accept(t, db, r), executor.Succeeded)
	finish(t, db, accept(t, db, job(t, "j2", 1, "")), executor.Succeeded)
	if _, err := db.Prune(noon, History{Count: 1}); err != nil {
		t.Fatal(err)
	}
	db = reopen(t, db)
	got := record(t, db, "j1")
	want := executor.Record{Key: "j1", ID: "j1", Seq: done.Seq, Digest: done.Digest, State: done.State, Rev: done.Rev, Ended: done.Ended}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got, _ := db.Accept(r); got != Known {
		t.Errorf("the same job: got %v, want Known", got)
	}
	if got, _ := db.Accept(job(t, "j1", 2, "")); got != Reused {
		t.Errorf("another job: got %v, want Reused", got)
	}
	before := db.Commits()
	if err := db.Cancel("j1", time.Time{}); err != nil || db.Cancelled("j1") || db.Commits() != before {
		t.Errorf("a cancel of it: %v, marked %v, %d commits, want nothing", err, db.Cancelled("j1"), db.Commits()-before)
	}
}

func TestWhenAnIDIsForgotten(t *testing.T) {
	seen, unseen := map[string]bool{"j1": true}, map[string]bool{"other": true}
	for _, c := range []struct {
		name, expires string
		now           time.Time
		seen          map[string]bool
		want          bool
	}{
		{"before its expires", "2026-12-24T00:00:00Z", noon.Add(30 * day), unseen, false},
		{"past its expires", "2026-12-24T00:00:00Z", noon.Add(31 * day), unseen, true},
		{"past its expires, no full subscribe", "2026-12-24T00:00:00Z", noon.Add(31 * day), nil, false},
		{"past its expires, still retained", "2026-12-24T00:00:00Z", noon.Add(31 * day), seen, false},
		{"without the time", "2026-12-24T00:00:00Z", time.Time{}, unseen, false},
		{"no expires, no full subscribe", "", noon.Add(1000 * day), nil, false},
		{"no expires, still retained", "", noon.Add(1000 * day), seen, false},
		{"no expires, 90 days", "", noon.Add(90 * day), unseen, false},
		{"no expires, 91 days", "", noon.Add(91 * day), unseen, true},
		{"no expires, without the time", "", time.Time{}, unseen, false},
	} {
		for _, cutFirst := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, ", cut first ", cutFirst), func(t *testing.T) {
				db := open(t, Options{})
				more := ""
				if c.expires != "" {
					more = fmt.Sprintf(`"expires":%q,`, c.expires)
				}
				r := job(t, "j1", 1, more)
				finish(t, db, accept(t, db, r), executor.Succeeded)
				finish(t, db, accept(t, db, job(t, "j2", 1, "")), executor.Succeeded)
				if cutFirst {
					if _, err := db.Prune(noon, History{Count: 1}); err != nil {
						t.Fatal(err)
					}
				}
				want := ""
				if c.want {
					want = "j1"
				}
				got, err := db.Prune(c.now, History{Count: 1, Seen: c.seen})
				if strings.Join(got, " ") != want || err != nil {
					t.Errorf("forgotten: got %v, %v, want %q", got, err, want)
				}
				db = reopen(t, db)
				if v, _ := db.Accept(r); (v == Accepted) != c.want {
					t.Errorf("offered again: got %v, want Accepted %v", v, c.want)
				}
			})
		}
	}
}

// Where the clock was not sane when the job ended, its days count from the
// first Prune that has the time.
func TestTheDaysOfAnUnknownEndCountFromThePrune(t *testing.T) {
	db := open(t, Options{})
	if err := db.ReadBack([]Past{{ID: "j1", State: executor.Succeeded, Rev: 3}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		now  time.Time
		want int
	}{{time.Time{}, 0}, {noon, 0}, {noon.Add(90 * day), 0}, {noon.Add(91 * day), 1}} {
		got, err := db.Prune(c.now, History{Seen: map[string]bool{}})
		if len(got) != c.want || err != nil {
			t.Errorf("at %v: got %v, %v, want %d forgotten", c.now, got, err, c.want)
		}
		db = reopen(t, db)
	}
}

func TestThreeFiringsOfEachNameAreKept(t *testing.T) {
	db := open(t, Options{})
	for i := range 5 {
		for _, name := range []string{"backup", "hot"} {
			r := accept(t, db, job(t, fmt.Sprintf("%s@%d", name, i), 1, ""))
			if i < 4 || name == "hot" {
				r.Rev, r.State = 2, executor.Succeeded
				mustPut(t, db, r) // untold
			}
		}
	}
	got, err := db.Prune(time.Time{}, History{})
	slices.Sort(got)
	if want := "backup@0 hot@0 hot@1"; strings.Join(got, " ") != want || err != nil {
		t.Errorf("forgotten: got %v, %v, want %s", got, err, want)
	}
	if got, want := ids(db.Unfinished()), "backup@4"; got != want {
		t.Errorf("unfinished: got %q, want %q", got, want)
	}
	if db.ids != 0 {
		t.Errorf("firings count as %d ids, want 0", db.ids)
	}
}

func TestTheSetOfIDsIsBounded(t *testing.T) {
	db := open(t, Options{})
	past := []Past{{ID: "backup@1", State: executor.Succeeded}}
	for i := range maxIDs - 1 {
		past = append(past, Past{ID: fmt.Sprintf("%s-%d", strings.Repeat("x", 50), i), State: executor.Succeeded, Rev: 12,
			Digest: executor.Digest([]byte{byte(i)}), Expires: at(noon.Add(day))})
	}
	if err := db.ReadBack(past); err != nil {
		t.Fatal(err)
	}
	accept(t, db, job(t, "last", 1, ""))
	for range 2 {
		if got, err := db.Accept(job(t, "too-many", 1, "")); got != NoRoom || err != nil {
			t.Errorf("id 4097: got %v, %v, want NoRoom", got, err)
		}
		db = reopen(t, db)
	}
	accept(t, db, job(t, "backup@2", 1, ""))
	forgotten, err := db.Prune(noon.Add(2*day), History{Seen: map[string]bool{}})
	if len(forgotten) != maxIDs-1 || err != nil {
		t.Errorf("got %d forgotten, %v, want %d", len(forgotten), err, maxIDs-1)
	}
	accept(t, reopen(t, db), job(t, "room-again", 1, ""))
}

func TestANewJournalIsNewUntilItHasReadBack(t *testing.T) {
	db := open(t, Options{})
	for i := range 2 {
		if !db.New() {
			t.Fatal("got an old journal, want a new one")
		}
		accept(t, db, job(t, fmt.Sprintf("backup@%d", i), 1, ""))
		db = reopen(t, db)
	}
	accept(t, db, job(t, "local", 1, ""))
	before := db.Commits()
	err := db.ReadBack([]Past{
		{ID: "ran", State: executor.Running, Rev: 7, Digest: "d"},
		{ID: "done", State: executor.Failed, Rev: 9, Digest: job(t, "done", 1, "").Digest},
		{ID: "refused", State: executor.Rejected},
		{ID: "local", State: executor.Succeeded, Rev: 1},
		{ID: "done", State: executor.Succeeded, Rev: 9},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := db.Commits() - before; got != 1 {
		t.Errorf("got %d commits, want 1", got)
	}
	for range 2 {
		if db.New() {
			t.Error("it is still new")
		}
		if got := record(t, db, "ran"); got.State != executor.Failed || got.Reason != "journal lost" || got.Rev != 8 {
			t.Errorf("ran: got %+v", got)
		}
		if got := record(t, db, "done"); got.State != executor.Failed || got.Rev != 9 {
			t.Errorf("done: got %+v", got)
		}
		if got := record(t, db, "local"); got.State != executor.Queued {
			t.Errorf("local: got %+v, want it untouched", got)
		}
		if got := ids(db.Untold()); !strings.HasSuffix(got, "local ran") || strings.Contains(got, "done") {
			t.Errorf("untold: got %q, want local and ran, and not done", got)
		}
		for id, want := range map[string]Verdict{"ran": Reused, "done": Known} {
			if got, _ := db.Accept(job(t, id, 1, "")); got != want {
				t.Errorf("%s offered: got %v, want %v", id, got, want)
			}
		}
		db = reopen(t, db)
	}
	accept(t, db, job(t, "refused", 1, ""))
	if err := db.ReadBack([]Past{{ID: "late", State: executor.Succeeded}}); err != nil {
		t.Fatal(err)
	}
	if _, ok, _ := db.Record("late"); ok {
		t.Error("a journal that is not new took a past")
	}
}

// Where jobs are signed a broker must not get an id back by way of a clock that
// was ahead for a while: what counts is a moment that has certainly passed.
func TestAClockThatIsAheadMakesNoIDForgotten(t *testing.T) {
	db := open(t, Options{})
	if err := db.ReadBack([]Past{{ID: "j", State: executor.Succeeded, Expires: at(noon.Add(day))}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		past time.Time
		want int
	}{{noon, 0}, {noon.Add(2 * day), 1}} {
		got, err := db.Prune(noon.AddDate(70, 0, 0), History{Seen: map[string]bool{}, Past: c.past})
		if len(got) != c.want || err != nil {
			t.Errorf("certainly past %s: got %q forgotten (%v), want %d", c.past, got, err, c.want)
		}
	}
}
