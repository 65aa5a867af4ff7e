package store

import (
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
		if err := db.Cancel("j1"); err != nil {
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
	if err := db.Cancel("j1"); err != nil {
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
	if err := db.Cancel("j1"); err != nil {
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
	if err := db.Cancel("known"); err != nil {
		t.Fatal(err)
	}
	for i := range maxEarly + 10 {
		now = now.Add(time.Minute)
		if err := db.Cancel(fmt.Sprintf("early-%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if got, want := len(db.cancels), maxEarly+1; got != want {
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
	if err := db.Cancel("another"); err != nil || len(db.cancels) != 2 {
		t.Errorf("got %d marks, %v, want 2", len(db.cancels), err)
	}
}
