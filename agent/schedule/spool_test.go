package schedule_test

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
		defer func() { d.off() }()
		dir := filepath.Join(d.Dir, "jobs.d")
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
		d.spool.Collect(t.Context())
		if d.Known("j") {
			t.Fatal("it was taken, and anybody could have laid it there")
		}
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		d.spool.Collect(t.Context())
		if !d.Known("j") {
			t.Error("it was not taken, though nothing is in its way any more")
		}
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("got %v, want the file gone", err)
		}
	})
}
