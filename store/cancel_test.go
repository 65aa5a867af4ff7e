package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
)

func TestACancelIsKeptUntilTheJobIsFinal(t *testing.T) {
	db := open(t, Options{})
	r := accept(t, db, job(t, "j1", 1, ""))
	for i, want := range []uint64{1, 0} {
		before := db.Commits()
		if err := db.Cancel("j1", time.Time{}); err != nil {
			t.Fatal(err)
		}
		if got := db.Commits() - before; got != want {
			t.Errorf("cancel %d: got %d commits, want %d", i, got, want)
		}
		db = reopen(t, db)
		if !db.Cancelled("j1") {
			t.Errorf("cancel %d: it is not marked", i)
		}
	}
	r.Rev, r.State = 2, executor.Undoing
	mustPut(t, db, r)
	if !db.Cancelled("j1") {
		t.Error("while undoing: it is not marked")
	}
	finish(t, db, r, executor.Cancelled)
	before := db.Commits()
	if err := db.Cancel("j1", time.Time{}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if db.Cancelled("j1") || db.Commits() > before {
			t.Error("when final: it is marked, or that cost a commit")
		}
		db = reopen(t, db)
		before = 0
	}
}

func TestACancelThatComesBeforeItsJobIsRemembered(t *testing.T) {
	db := open(t, Options{})
	if err := db.Cancel("j1", time.Time{}); err != nil {
		t.Fatal(err)
	}
	db = reopen(t, db)
	before := db.Commits()
	got := accept(t, db, job(t, "j1", 1, ""))
	if got.State != executor.Cancelled || got.Rev != 1 || !got.Ended.Equal(noon) {
		t.Errorf("got %s, rev %d, ended %v, want cancelled at once", got.State, got.Rev, got.Ended)
	}
	if got := db.Commits() - before; got != 1 {
		t.Errorf("got %d commits, want 1", got)
	}
	for range 2 {
		if db.Cancelled("j1") {
			t.Error("the mark is still there")
		}
		if got, want := ids(db.Untold()), "j1"; got != want {
			t.Errorf("untold: got %q, want %q", got, want)
		}
		db = reopen(t, db)
	}
}

func TestEarlyCancelsAreBounded(t *testing.T) {
	now := noon
	db := open(t, Options{Now: func() time.Time { return now }})
	accept(t, db, job(t, "known", 1, ""))
	if err := db.Cancel("known", time.Time{}); err != nil {
		t.Fatal(err)
	}
	for i := range maxCancels + 10 {
		now = now.Add(time.Hour)
		if err := db.Cancel(fmt.Sprintf("early-%d", i), time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if got, want := len(db.cancels), maxCancels+1; got != want {
			t.Errorf("got %d marks, want %d", got, want)
		}
		for id, want := range map[string]bool{"known": true, "early-9": false, "early-10": true, "early-265": true} {
			if got := db.Cancelled(id); got != want {
				t.Errorf("%s: got %v, want %v", id, got, want)
			}
		}
		db = reopen(t, db)
	}
	now = now.Add(31 * 24 * time.Hour)
	if db.Cancelled("early-265") || !db.Cancelled("known") {
		t.Error("after a month the early ones should be gone, and the one whose job is there should not")
	}
	if err := db.Cancel("another", time.Time{}); err != nil || len(db.cancels) != 2 {
		t.Errorf("got %d marks, %v, want 2", len(db.cancels), err)
	}
}

// A flood of cancels costs the flash a few commits, and the mark of a job that is
// there is always written.
func TestAFloodOfEarlyCancelsIsNotWritten(t *testing.T) {
	now := noon
	db := open(t, Options{Now: func() time.Time { return now }})
	accept(t, db, job(t, "known", 1, ""))
	before := db.Commits()
	for i := range 5000 {
		err := db.Cancel(fmt.Sprintf("early-%d", i), time.Time{})
		if got, want := errors.Is(err, ErrManyCancels), i >= earlyAtOnce; got != want || err != nil && !got {
			t.Fatalf("cancel %d: got %v", i, err)
		}
	}
	if got := db.Commits() - before; got != earlyAtOnce {
		t.Errorf("got %d commits, want %d", got, earlyAtOnce)
	}
	if err := db.Cancel("known", time.Time{}); err != nil || !db.Cancelled("known") {
		t.Errorf("the job that is there: %v", err)
	}
	for _, step := range []struct {
		passed time.Duration
		want   bool
	}{{earlyEvery / 2, false}, {earlyEvery, true}, {0, false}, {-24 * time.Hour, false}, {earlyEvery, true}, {1000 * earlyEvery, true}, {0, true}} {
		now = now.Add(step.passed)
		if err := db.Cancel("late-"+now.String()+fmt.Sprint(step.passed), time.Time{}); (err == nil) != step.want {
			t.Errorf("%v later: got %v, want it written: %v", step.passed, err, step.want)
		}
	}
}

// Whoever keeps a signed cancel must not end a job that has its id later.
func TestACancelEndsNoJobThatWasSignedAfterIt(t *testing.T) {
	for _, tt := range []struct {
		name            string
		cancel, another time.Duration // when they were signed, before noon; 0: not at all
		job             time.Duration
		want            executor.State
	}{
		{"signed behind its job", time.Hour, 0, 2 * time.Hour, executor.Cancelled},
		{"signed ahead of its job, as clocks differ", 2 * time.Hour, 0, 90 * time.Minute, executor.Cancelled},
		{"signed long before its job", 3 * time.Hour, 0, time.Hour, executor.Queued},
		{"then signed again", 3 * time.Hour, time.Hour, time.Hour, executor.Cancelled},
		{"brought again", time.Hour, 3 * time.Hour, time.Hour, executor.Cancelled},
		{"of a job whose time nobody knows", 3 * time.Hour, 0, 0, executor.Cancelled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db := open(t, Options{})
			at := func(ago time.Duration) time.Time { return noon.Add(-ago) }
			if err := db.Cancel("j1", at(tt.cancel)); err != nil {
				t.Fatal(err)
			}
			if tt.another != 0 {
				db = reopen(t, db)
				if err := db.Cancel("j1", at(tt.another)); err != nil {
					t.Fatal(err)
				}
			}
			db = reopen(t, db)
			r := job(t, "j1", 1, "")
			if tt.job != 0 {
				r.Signed.Time = at(tt.job)
			}
			if got := accept(t, db, r); got.State != tt.want {
				t.Errorf("got %s, want %s", got.State, tt.want)
			}
			for range 2 {
				if db.Cancelled("j1") || len(db.cancels) > 0 {
					t.Error("the mark is still there")
				}
				db = reopen(t, db)
			}
		})
	}
}

func TestASignedCancelMarksOnlyTheJobThatItIsFor(t *testing.T) {
	db := open(t, Options{})
	r := job(t, "j1", 1, "")
	r.Signed.Time = noon
	accept(t, db, r)
	for range 2 {
		if err := db.Cancel("j1", noon.Add(-2*time.Hour)); err != nil || db.Cancelled("j1") {
			t.Errorf("got %v and a mark %v, want neither", err, db.Cancelled("j1"))
		}
		db = reopen(t, db)
	}
	before := db.Commits()
	for range 2 {
		if err := db.Cancel("j1", noon.Add(time.Hour)); err != nil || !db.Cancelled("j1") || db.Commits() != before+1 {
			t.Errorf("got %v, a mark %v and %d commits, want one of each", err, db.Cancelled("j1"), db.Commits()-before)
		}
	}
}
