package agent

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// A file of the spool that is refused stays, and is taken when what was in its
// way has gone, though nobody touched it; then it is gone too.
func TestASpooledJobIsTakenWhenItCanBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary(t, "", "2000-01-01T00:00:00Z")
		d.on()
		defer func() { d.end() }()
		dir := filepath.Join(d.dir, "jobs.d")
		path := filepath.Join(dir, "j.json")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(`{"id":"j","steps":[{"name":"a","command":{"argv":["true"]}}]}`), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o777); err != nil { // anybody could lay something there
			t.Fatal(err)
		}
		d.agent.spool.Collect(t.Context())
		if _, known, err := d.agent.db.Record("j"); known || err != nil {
			t.Fatalf("got %v, %v, want it refused", known, err)
		}
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		d.agent.spool.Collect(t.Context())
		if _, known, err := d.agent.db.Record("j"); !known || err != nil {
			t.Errorf("got %v, %v, want it taken", known, err)
		}
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("got %v, want the file gone", err)
		}
	})
}
