package store

import (
	"fmt"
	"testing"

	"github.com/ratchetd/ratchet/executor"
)

// A device that is offline for years runs its schedules all the same: of what
// nobody was told the last three are kept, and what somebody holds a status of
// is not forgotten behind their back.
func TestFiringsAreBoundedWhileNoStatusCanBeSent(t *testing.T) {
	db := open(t, Options{})
	for i := range 10 {
		r := accept(t, db, job(t, fmt.Sprintf("backup@%d", i), 1, ""))
		if i < 2 {
			finish(t, db, r, executor.Succeeded)
			continue
		}
		r.Rev, r.State = 2, executor.Succeeded
		mustPut(t, db, r)
	}
	forgotten, err := db.Prune(noon, History{Quiet: true})
	if err != nil || len(forgotten) != 5 {
		t.Errorf("got %v, %v, want five forgotten", forgotten, err)
	}
	if got, want := ids(db.Records()), "backup@0 backup@1 backup@7 backup@8 backup@9"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	forgotten, err = db.Prune(noon, History{})
	if err != nil || fmt.Sprint(forgotten) != "[backup@1 backup@0]" {
		t.Errorf("with a connection: got %v, %v, want those that it tells of", forgotten, err)
	}
}
