package store

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestTwoAgentsNeverShareADirectory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := open(t, Options{})
		dir := strings.TrimSuffix(db.lock.Name(), "/lock")
		begin := time.Now()
		_, err := Open(dir, Options{})
		if want := fmt.Sprintf("process %d", os.Getpid()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error that says %q", err, want)
		}
		if got := time.Since(begin).Round(time.Second); got != lockWait {
			t.Errorf("it waited %v, want %v", got, lockWait)
		}
		accept(t, db, job(t, "j1", 1, ""))
	})
}

func TestTheNextAgentWaitsForTheOneThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := open(t, Options{})
		dir := strings.TrimSuffix(db.lock.Name(), "/lock")
		accept(t, db, job(t, "j1", 1, ""))
		time.AfterFunc(3*time.Second, func() { db.Close() })
		if got, want := ids(openAt(t, dir, Options{}).Unfinished()), "j1"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
