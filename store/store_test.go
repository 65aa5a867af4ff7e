package store

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func at(t time.Time) executor.Time { return executor.Time{Time: t} }

// job is the first Record of a job with that many steps; more is put into the
// document's head.
func job(t testing.TB, id string, steps int, more string) executor.Record {
	t.Helper()
	var list []string
	for i := range steps {
		list = append(list, fmt.Sprintf(`{"name":"s%d","command":{"argv":["true"]}}`, i))
	}
	text := fmt.Appendf(nil, `{"id":%q,%s"steps":[%s]}`, strings.ReplaceAll(id, "@", "-"), more, strings.Join(list, ","))
	j, err := executor.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	r := executor.NewRecord(j, text, noon)
	r.Key, r.ID, r.Job.ID = id, id, id
	return r
}

func openAt(t testing.TB, dir string, o Options) *DB {
	t.Helper()
	if o.Now == nil {
		o.Now = func() time.Time { return noon }
	}
	db, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func open(t testing.TB, o Options) *DB { return openAt(t, t.TempDir(), o) }

// reopen is a restart of the agent.
func reopen(t testing.TB, db *DB) *DB {
	t.Helper()
	dir := filepath.Dir(db.lock.Name())
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	again := openAt(t, dir, Options{MaxSize: db.max, Now: db.now})
	if got := again.Broken(); got != "" {
		t.Fatalf("after a restart: %s", got)
	}
	return again
}

func accept(t testing.TB, db *DB, r executor.Record) executor.Record {
	t.Helper()
	if got, err := db.Accept(r); got != Accepted || err != nil {
		t.Fatalf("Accept(%s) = %v, %v, want Accepted", r.Key, got, err)
	}
	return record(t, db, r.Key)
}

func mustPut(t testing.TB, db *DB, r executor.Record) {
	t.Helper()
	if err := db.Put(r); err != nil {
		t.Fatal(err)
	}
}

func record(t testing.TB, db *DB, key string) executor.Record {
	t.Helper()
	r, ok, err := db.Record(key)
	if err != nil || !ok {
		t.Fatalf("Record(%s) = %v, %v, want it there", key, ok, err)
	}
	return r
}

// finish takes an accepted Record to its end and tells of it.
func finish(t testing.TB, db *DB, r executor.Record, state executor.State) executor.Record {
	t.Helper()
	r.Rev, r.State, r.Ended = r.Rev+1, state, at(noon)
	mustPut(t, db, r)
	db.Told(r.Key, r.Rev)
	return r
}

func ids(records []executor.Record, err error) string {
	if err != nil {
		return err.Error()
	}
	var all []string
	for _, r := range records {
		all = append(all, r.ID)
	}
	return strings.Join(all, " ")
}

func TestARecordComesBackAsItWas(t *testing.T) {
	db := open(t, Options{})
	r := accept(t, db, job(t, "j1", 3, `"expires":"2026-12-24T00:00:00Z",`))
	r.Origin, r.Alert = json.RawMessage(`{"a":1}`), json.RawMessage(`{"b":2}`)
	r.Rev, r.State, r.Reason, r.Warnings = 2, executor.Running, "why", []string{"w"}
	r.Started, r.Ran, r.At = at(noon), executor.Duration(time.Minute), executor.Cursor{Step: 1}
	r.Steps[0] = executor.StepRecord{State: executor.Succeeded, Attempts: 2, Millis: 5, Boot: "b",
		Saved: json.RawMessage(`{"offset":7}`), Output: "out\xff\x00", Result: json.RawMessage(`{"x":[1]}`)}
	r.Steps[1].Undo = &executor.UndoRecord{Attempts: 1}
	mustPut(t, db, r)
	for range 2 {
		if got := record(t, db, "j1"); !reflect.DeepEqual(got, r) {
			t.Fatalf("got  %+v\nwant %+v", got, r)
		}
		db = reopen(t, db)
	}
}

func TestAJobIsAcceptedOnce(t *testing.T) {
	db := open(t, Options{})
	first, other := job(t, "j1", 1, ""), job(t, "j1", 2, "")
	for i, c := range []struct {
		r    executor.Record
		want Verdict
	}{{first, Accepted}, {first, Known}, {other, Reused}, {first, Known}} {
		before := db.Commits()
		got, err := db.Accept(c.r)
		if got != c.want || err != nil {
			t.Errorf("offer %d: got %v, %v, want %v", i, got, err, c.want)
		}
		if got := db.Commits() - before; got != 0 && c.want != Accepted {
			t.Errorf("offer %d: %d commits, want 0", i, got)
		}
		db = reopen(t, db)
	}
	if got := record(t, db, "j1"); got.Digest != first.Digest || len(got.Job.Steps) != 1 {
		t.Errorf("the Record became %+v, want the first one", got)
	}
}

func TestAKeyThatCouldNotBeKeptIsRefused(t *testing.T) {
	db := open(t, Options{})
	for _, key := range []string{"", "a\x00b"} {
		r := job(t, "j1", 1, "")
		r.Key = key
		if got, err := db.Accept(r); got == Accepted || err == nil {
			t.Errorf("Accept with key %q = %v, %v, want an error", key, got, err)
		}
	}
}

func TestATenStepJobCostsTwelveCommits(t *testing.T) {
	db := open(t, Options{})
	before := db.Commits()
	r := accept(t, db, job(t, "j1", 10, ""))
	for i := range 10 { // begin, and nine boundaries
		r = boundary(r, i)
		mustPut(t, db, r)
		db.Told("j1", r.Rev)
		db.SetFloor(noon.Add(time.Duration(i) * time.Second))
	}
	finish(t, db, r, executor.Succeeded)
	if got := db.Commits() - before; got != 12 {
		t.Errorf("got %d commits, want 12", got)
	}
}

// boundary ends the step before i and begins i.
func boundary(r executor.Record, i int) executor.Record {
	r.Steps = slices.Clone(r.Steps)
	r.Rev, r.State, r.At.Step = r.Rev+1, executor.Running, i
	if i > 0 {
		r.Steps[i-1].State, r.Steps[i-1].Millis = executor.Succeeded, 1234
		r.Steps[i-1].Output = "64 bytes from 192.168.7.1: seq=0 ttl=64 time=0.412 ms\n"
	}
	r.Steps[i].State, r.Steps[i].Attempts, r.Steps[i].Boot = executor.Running, 1, "6ce36a2e-1bd4-41f4-9f9b-4a3f0f0b1d1e"
	return r
}

func TestAFinalStateStays(t *testing.T) {
	db := open(t, Options{})
	r := finish(t, db, accept(t, db, job(t, "j1", 1, "")), executor.Failed)
	r.Rev, r.State = r.Rev+1, executor.Succeeded
	if err := db.Put(r); err == nil {
		t.Error("a second final state was taken, want an error")
	}
	if err := db.Put(job(t, "j2", 1, "")); err == nil {
		t.Error("a job that was never accepted was taken, want an error")
	}
	if got := record(t, reopen(t, db), "j1").State; got != executor.Failed {
		t.Errorf("got %s, want failed", got)
	}
}

func TestUnfinishedComeInTheOrderOfAcceptance(t *testing.T) {
	db := open(t, Options{})
	for _, id := range []string{"zulu", "alpha", "mike", "bravo"} {
		accept(t, db, job(t, id, 1, ""))
	}
	finish(t, db, record(t, db, "alpha"), executor.Succeeded)
	for range 2 {
		if got, want := ids(db.Unfinished()), "zulu mike bravo"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got, want := ids(db.Records()), "zulu alpha mike bravo"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		db = reopen(t, db)
	}
}

func TestToldIsDurableWithTheNextCommit(t *testing.T) {
	db := open(t, Options{})
	accept(t, db, job(t, "a", 1, ""))
	accept(t, db, job(t, "b", 1, ""))
	db.Told("a", 1)
	if got, want := ids(db.Untold()), "b"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	db = reopen(t, db) // no commit came: told again
	if got, want := ids(db.Untold()), "a b"; got != want {
		t.Errorf("after a restart: got %q, want %q", got, want)
	}
	db.Told("a", 1)
	db.Told("unknown", 9)
	db.SetFloor(noon)
	before := db.Commits()
	r := record(t, db, "b")
	r.Rev = 2
	mustPut(t, db, r)
	if got := db.Commits() - before; got != 1 {
		t.Errorf("got %d commits, want 1", got)
	}
	db.Told("b", 1) // late: rev 2 is not told
	db = reopen(t, db)
	if got, want := ids(db.Untold()), "b"; got != want {
		t.Errorf("after a commit: got %q, want %q", got, want)
	}
	if got := db.Floor(); !got.Equal(noon) {
		t.Errorf("floor: got %v, want %v", got, noon)
	}
}

func TestTheFloorOnlyRises(t *testing.T) {
	db := open(t, Options{})
	if got := db.Floor(); !got.IsZero() {
		t.Errorf("at first: got %v, want none", got)
	}
	db.SetFloor(noon)
	db.SetFloor(noon.Add(-time.Hour))
	db.SetFloor(time.Time{})
	if got := db.Floor(); !got.Equal(noon) {
		t.Errorf("got %v, want %v", got, noon)
	}
}

func TestMarksAreKept(t *testing.T) {
	db := open(t, Options{})
	set := func(name string, value []byte) uint64 {
		before := db.Commits()
		if err := db.Set(name, value); err != nil {
			t.Fatal(err)
		}
		return db.Commits() - before
	}
	for _, c := range []struct {
		value []byte
		want  uint64 // commits
	}{{nil, 0}, {[]byte("1"), 1}, {[]byte("1"), 0}, {[]byte{}, 1}, {[]byte("2"), 1}, {nil, 1}, {nil, 0}} {
		if got := set("due backup", c.value); got != c.want {
			t.Errorf("Set(%q): %d commits, want %d", c.value, got, c.want)
		}
		db = reopen(t, db)
		if got, err := db.Get("due backup"); !reflect.DeepEqual(got, c.value) || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, c.value)
		}
	}
}

func TestAFiringSharesItsFileWithTheOthers(t *testing.T) {
	db := open(t, Options{})
	accept(t, db, job(t, "backup@20261124T030000Z", 1, ""))
	if got, want := record(t, reopen(t, db), "backup@20261124T030000Z").Job.ID, "backup@20261124T030000Z"; got != want {
		t.Errorf("got job id %q, want %q", got, want)
	}
}
