package store

import (
	"errors"
	"testing"

	"github.com/ratchetd/ratchet/executor"
)

// Of two documents there is the one or the other after a cut, and whoever still has
// the first in hand learns that it is nobody's any more.
func TestAJobThatHasNotBegunGivesWayToAnotherDocument(t *testing.T) {
	db := open(t, Options{})
	first := accept(t, db, job(t, "j", 1, ""))
	second := job(t, "j", 2, "")
	if done, err := db.Replace(second); !done || err != nil {
		t.Fatalf("Replace: %v, %v", done, err)
	}
	first.Rev++
	first.State = executor.Running
	if err := db.Put(first); !errors.Is(err, executor.ErrReplaced) {
		t.Errorf("Put of the replaced Record: got %v, want ErrReplaced", err)
	}
	db = reopen(t, db)
	got, known, err := db.Record("j")
	if err != nil || !known || got.Digest != second.Digest || string(got.Text) != string(second.Text) || got.Rev != 2 {
		t.Errorf("got %v %v digest %.8s rev %d, want the second at rev 2", known, err, got.Digest, got.Rev)
	}
	got.Rev++
	got.State = executor.Running
	if err := db.Put(got); err != nil {
		t.Fatal(err)
	}
	if done, err := db.Replace(job(t, "j", 3, "")); done || err != nil {
		t.Errorf("Replace of one that has begun: %v, %v", done, err)
	}
	if done, err := db.Withdraw("j"); done || err != nil {
		t.Errorf("Withdraw of one that has begun: %v, %v", done, err)
	}
}

// A job that was withdrawn is as if it had never been offered.
func TestAWithdrawnJobLeavesNothing(t *testing.T) {
	db := open(t, Options{})
	r := accept(t, db, job(t, "j", 1, ""))
	if done, err := db.Withdraw("j"); !done || err != nil {
		t.Fatalf("Withdraw: %v, %v", done, err)
	}
	r.Rev++
	if err := db.Put(r); !errors.Is(err, executor.ErrReplaced) {
		t.Errorf("Put of the withdrawn Record: got %v, want ErrReplaced", err)
	}
	for range 2 {
		if _, known, err := db.Known("j"); known || err != nil || db.ids != 0 {
			t.Errorf("known %v, %v; %d ids", known, err, db.ids)
		}
		db = reopen(t, db)
	}
	if v, err := db.Accept(job(t, "j", 2, "")); v != Accepted || err != nil {
		t.Errorf("accepting another document under its id: %v, %v", v, err)
	}
}
