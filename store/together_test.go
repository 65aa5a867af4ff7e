package store

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
)

// The executor puts, the link accepts, tells and cancels, telemetry spills, and
// somebody looks on: what was said by one is not lost to another.
func TestAllMayWriteAtOnce(t *testing.T) {
	db := open(t, Options{})
	const jobs, steps = 8, 6
	var wg sync.WaitGroup
	for i := range jobs {
		id := fmt.Sprintf("job-%d", i)
		r := accept(t, db, job(t, id, steps, ""))
		wg.Go(func() { // executor
			for s := range steps {
				r = boundary(r, s)
				if err := db.Put(r); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() { // link
			for rev := range uint64(steps) {
				db.Told(id, rev)
				if err := db.Cancel(id, time.Time{}); err != nil {
					t.Error(err)
				}
				if v, err := db.Accept(job(t, id, steps, "")); v != Known || err != nil {
					t.Errorf("Accept = %v, %v, want Known", v, err)
				}
			}
		})
	}
	wg.Go(func() {
		for i := range 20 {
			if err := keepSamples(db, []byte{byte(i)}); err != nil {
				t.Error(err)
			}
			if _, err := db.Prune(noon, History{Count: 1}); err != nil {
				t.Error(err)
			}
			if all, err := db.Records(); len(all) != jobs || err != nil {
				t.Errorf("got %d Records, %v, want %d", len(all), err, jobs)
			}
		}
	})
	wg.Wait()
	if err := db.Set("commit", []byte("1")); err != nil {
		t.Fatal(err)
	}
	db = reopen(t, db)
	for i := range jobs {
		id := fmt.Sprintf("job-%d", i)
		r := record(t, db, id)
		if got, want := r.Rev, uint64(1+steps); got != want || !db.Cancelled(id) || r.State != executor.Running {
			t.Errorf("%s: rev %d, %s, cancelled %v, want rev %d and both", id, got, r.State, db.Cancelled(id), want)
		}
		if s, _ := db.standing(id); s.told != steps-1 {
			t.Errorf("%s: told %d, want %d", id, s.told, steps-1)
		}
		if !strings.HasPrefix(r.Steps[0].Output, "64 bytes") {
			t.Errorf("%s: output %q", id, r.Steps[0].Output)
		}
	}
}
