package store

import (
	"encoding/binary"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
)

var update = flag.Bool("update", false, "write this version's journal into testdata")

// released is the journal of schema level 1: the file is in the machine's byte order.
func released() string {
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		return "testdata/v1-bigendian.db"
	}
	return "testdata/v1.db"
}

func TestTheJournalOfEveryReleaseOpens(t *testing.T) {
	if *update {
		writeRelease(t, released())
	}
	data, err := os.ReadFile(released())
	if err != nil {
		t.Fatal(err)
	}
	dir, _ := lay(t, data)
	db := openAt(t, dir, Options{})
	for range 2 {
		if got, want := ids(db.Records()), "cut done running"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		r := record(t, db, "running")
		if len(r.Job.Steps) != 3 || r.At.Step != 1 || r.Steps[0].Output == "" || string(r.Steps[0].Result) != `{"a":1}` || r.Rev != 3 {
			t.Errorf("running: got %+v", r)
		}
		if got := record(t, db, "done"); got.State != executor.Succeeded || got.Text == nil {
			t.Errorf("done: got %+v", got)
		}
		if got := record(t, db, "cut"); got.State != executor.Failed || got.Text != nil || !got.Ended.Equal(noon) {
			t.Errorf("cut: got %+v", got)
		}
		if got, want := ids(db.Untold()), "running"; got != want {
			t.Errorf("untold: got %q, want %q", got, want)
		}
		if !db.Cancelled("running") || !db.Cancelled("early") || !db.New() || !db.Floor().Equal(noon) {
			t.Error("the cancels, the read-back or the floor are not as they were")
		}
		if got, err := db.Get("due backup"); string(got) != "1" || err != nil {
			t.Errorf("mark: got %q, %v", got, err)
		}
		if got := joined(samples(t, db)); got != "sample" {
			t.Errorf("samples: got %q", got)
		}
		db = reopen(t, db)
	}
	finish(t, db, record(t, db, "running"), executor.Cancelled)
}

func writeRelease(t *testing.T, path string) {
	t.Helper()
	db := open(t, Options{})
	finish(t, db, accept(t, db, job(t, "cut", 1, "")), executor.Failed)
	finish(t, db, accept(t, db, job(t, "done", 1, "")), executor.Succeeded)
	r := boundary(boundary(accept(t, db, job(t, "running", 3, "")), 0), 1)
	r.Steps[0].Result = json.RawMessage(`{"a":1}`)
	mustPut(t, db, r)
	db.SetFloor(noon)
	for _, err := range []error{db.Cancel("running", time.Time{}), db.Cancel("early", time.Time{}), db.Set("due backup", []byte("1")), keepSamples(db, []byte("sample"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Prune(noon, History{Count: 1}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(filepath.Dir(db.lock.Name()), fileName))
	if err == nil {
		err = os.WriteFile(path, data, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What decodes must encode to something that decodes to the same.
func FuzzState(f *testing.F) {
	f.Add("j1", []byte("\x00\x00\x00\x00\x00\x00\x00\x07"+`{"key":"j1","seq":1,"id":"j1","digest":"d","rev":7,"state":"running","at":{"step":0},"steps":[{}],"expires":"2026-12-24T00:00:00Z"}`))
	f.Add("j1", []byte(`{"s":1,"d":"d","t":"failed","w":"why","r":7,"e":1,"x":2,"k":3}`))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		if e, err := decodeEntry(key, value); err == nil {
			again, err := e.encode()
			if err != nil {
				t.Fatal(err)
			}
			e2, err := decodeEntry(key, again)
			if err != nil || e2.Rev != e.Rev || e2.State != e.State || e2.Told != e.Told || len(e2.Steps) != len(e.Steps) {
				t.Errorf("got %+v, %v, want %+v", e2, err, e)
			}
			e.setPart([]byte(strings.Repeat("o", len(value)%5)), value)
		}
		if l, err := decodeLine([]byte(key), value); err == nil {
			if got := l.record(key); got.Key != key || got.Rev != l.Rev || got.State != l.State {
				t.Errorf("got %+v, want %+v", got, l)
			}
		}
	})
}
