package store

import (
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/ratchetd/ratchet/executor"
)

// What is told of a journal is on its disk, so one that has less was put back.
func TestAJournalKnowsWhatIsOlder(t *testing.T) {
	db := open(t, Options{})
	before := db.Mark()
	if err := db.ReadBack(nil); err != nil {
		t.Fatal(err)
	}
	db.Compared()
	now := db.Mark()
	if now.ID == "" || now.ID != before.ID || now.Commits != before.Commits+1 {
		t.Errorf("after a commit: got %+v, before it %+v", now, before)
	}
	for _, c := range []struct {
		name string
		told Mark
		want bool
	}{
		{"nothing was told", Mark{}, false},
		{"as much", now, false},
		{"less, for a commit came after it", before, false},
		{"more", Mark{now.ID, now.Commits + 1}, true},
		{"another journal", Mark{"0123456789abcdef", 1}, true},
		{"more than any flash takes", Mark{now.ID, 1 << 60}, false},
		{"no id of ours", Mark{"0123456789abcdef0", 1}, false},
	} {
		if got := db.Lacks(c.told); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

// What was read back is not read back once more: neither after a cut in between, nor
// because a will of before comes late. The counter never falls below what was told.
func TestAnOlderJournalReadsBackOnce(t *testing.T) {
	for name, told := range map[string]Mark{"more": {Commits: 1000}, "another": {ID: "0123456789abcdef", Commits: 7}} {
		t.Run(name, func(t *testing.T) {
			db := open(t, Options{})
			if err := db.ReadBack(nil); err != nil {
				t.Fatal(err)
			}
			if told.ID == "" {
				told.ID = db.Mark().ID
			}
			if err := db.ReadsBack(told); err != nil {
				t.Fatal(err)
			}
			db = reopen(t, db) // cut before it was read back
			if !db.New() || !db.Older() || db.Lacks(told) {
				t.Errorf("new %v, older %v, lacks %v; want true, true, false", db.New(), db.Older(), db.Lacks(told))
			}
			if err := db.ReadBack(nil); err != nil {
				t.Fatal(err)
			}
			db = reopen(t, db)
			if db.New() || db.Older() || db.Lacks(told) || told.ID == db.Mark().ID && db.Mark().Commits <= told.Commits {
				t.Errorf("new %v, older %v, lacks %v, %+v", db.New(), db.Older(), db.Lacks(told), db.Mark())
			}
		})
	}
}

// Compacting the file counts nothing again.
func TestCompactingKeepsTheMark(t *testing.T) {
	db := open(t, Options{})
	for i := range 5 {
		if err := db.Set("x", []byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	want := db.Mark()
	path := db.bolt.Path()
	g := geometryOf(t.TempDir())
	if err := db.bolt.Close(); err != nil {
		t.Fatal(err)
	}
	if err := compact(path, g); err != nil {
		t.Fatal(err)
	}
	if got := reopen(t, db).Mark(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// A file of an earlier version, which has none, gets an id once.
func TestAnOldJournalGetsAnID(t *testing.T) {
	db := open(t, Options{})
	err := db.bolt.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Delete(keyID) })
	if err != nil {
		t.Fatal(err)
	}
	db = reopen(t, db)
	id := db.Mark().ID
	if again := reopen(t, db).Mark().ID; len(id) != 16 || id != again {
		t.Errorf("got %q, then %q; want one of 16 digits", id, again)
	}
}

// A journal that was put back learns how its jobs ended: what it had in hand is no
// longer its to go on with, and what it knows as well as anybody stays.
func TestAnOlderJournalLearnsHowItsJobsEnded(t *testing.T) {
	db := open(t, Options{})
	if err := db.ReadBack(nil); err != nil {
		t.Fatal(err)
	}
	ended, lost, same := accept(t, db, job(t, "ended", 2, "")), accept(t, db, job(t, "lost", 2, "")), accept(t, db, job(t, "same", 1, ""))
	finish(t, db, accept(t, db, job(t, "over", 1, "")), executor.Failed)
	db = reopen(t, db)
	for range 9 { // begun again, before anybody was asked
		ended.Rev, ended.State = ended.Rev+1, executor.Running
		mustPut(t, db, ended)
	}
	if err := db.ReadsBack(Mark{db.Mark().ID, 1000}); err != nil {
		t.Fatal(err)
	}
	err := db.ReadBack([]Past{
		{ID: "ended", State: executor.Succeeded, Rev: 9}, {ID: "lost", State: executor.Running, Rev: 5}, {ID: "same", State: executor.Queued, Rev: same.Rev},
		{ID: "over", State: executor.Succeeded, Rev: 9}, {ID: "unknown", State: executor.Cancelled, Rev: 3}})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []executor.Record{ended, lost} {
		r.Rev, r.State = r.Rev+1, executor.Running
		if err := db.Put(r); err == nil {
			t.Errorf("%s went on", r.ID)
		}
	}
	for range 2 {
		for id, want := range map[string]executor.State{"ended": executor.Succeeded, "lost": executor.Failed, "same": executor.Queued,
			"over": executor.Failed, "unknown": executor.Cancelled} {
			if got := record(t, db, id); got.State != want {
				t.Errorf("%s: got %s, want %s", id, got.State, want)
			}
		}
		if got := record(t, db, "lost"); got.Rev != 6 || got.Reason != "journal lost" {
			t.Errorf("lost: rev %d, %q", got.Rev, got.Reason)
		}
		if db.ids != 5 {
			t.Errorf("%d ids are counted, want 5", db.ids)
		}
		db = reopen(t, db)
	}
}

// What an older journal commits before anybody is asked makes up for nothing.
func TestAnOlderJournalDoesNotCatchUp(t *testing.T) {
	db := open(t, Options{})
	told := Mark{db.Mark().ID, db.Mark().Commits + 2}
	for i := range 5 {
		if err := db.Set("x", []byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // its own will is no excuse, but on the next connection
		if !db.Lacks(told) {
			t.Errorf("it lacks nothing of %+v, with %+v", told, db.Mark())
		}
		db.Will()
	}
	if db.Will(); db.Lacks(told) {
		t.Errorf("it lacks something of %+v, which its own will may have said", told)
	}
}
