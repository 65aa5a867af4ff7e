package store

import "testing"

// What is to be kept soon is on disk with the next commit, and costs none.
func TestAValueKeptSoonIsCarriedByTheNextCommit(t *testing.T) {
	db := open(t, Options{})
	before := db.Commits()
	db.SetSoon("due", []byte("1"))
	if got := db.Commits() - before; got != 0 {
		t.Errorf("SetSoon: %d commits, want none", got)
	}
	db = reopen(t, db)
	if got, err := db.Get("due"); err != nil || got != nil {
		t.Errorf("cut before a commit: got %q, %v, want nothing", got, err)
	}
	db.SetSoon("due", []byte("1"))
	db.SetSoon("due", []byte("2"))
	before = db.Commits()
	accept(t, db, job(t, "a", 1, ""))
	if got := db.Commits() - before; got != 1 {
		t.Errorf("Accept: %d commits, want 1", got)
	}
	db = reopen(t, db)
	if got, err := db.Get("due"); err != nil || string(got) != "2" {
		t.Errorf("got %q, %v, want 2", got, err)
	}
}
