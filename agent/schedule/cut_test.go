package schedule_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The power goes at every commit around three firings, of which one ends a
// recurring job: each due time has its one job all the same.
func TestPowerCutAtEveryCommitAroundAFiring(t *testing.T) {
	const want = "p 20261124T043000Z, p 20261125T043000Z, s 20261124T030000Z, s 20261125T030000Z"
	cuts := 0
	for cut := 0; ; cut++ {
		reached := false
		synctest.Test(t, func(t *testing.T) {
			d := newDiary(t, "[[schedule]]\nname = \"s\"\njob = \"job.json\"\ncron = \"0 3 * * *\"", "2026-11-23T22:00:00Z")
			d.on()
			defer func() { d.off() }()
			d.submit(`{"id":"p","schedule":"30 4 * * *","expires":"2026-11-26T00:00:00Z","steps":[{"name":"a","command":{"argv":["true"]}}]}`)
			d.CutAt(cut)
			for range 52 * 30 {
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				select {
				case <-d.Died:
					if !reached {
						reached = true
						d.off()
						d.on()
						d.Settle()
					}
				default:
				}
			}
			entries := strings.Split(d.Entries(), ", ")
			for i, e := range entries {
				entries[i] = e[:strings.LastIndex(e, " ")]
			}
			slices.Sort(entries)
			if got := strings.Join(entries, ", "); got != want {
				t.Errorf("cut at commit %d: got  %s\nwant %s", cut, got, want)
			}
			if got := d.State("p"); got != "succeeded" {
				t.Errorf("cut at commit %d: the recurring job: got %s, want succeeded", cut, got)
			}
		})
		if cut > 0 && !reached {
			break
		}
		cuts = cut
	}
	if cuts < 10 {
		t.Errorf("got %d cuts, want more: the hook does not work", cuts)
	}
}
