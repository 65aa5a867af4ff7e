package main

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestE2EFirmwareIsCutAtEveryCommit cuts the power before and after every commit
// of the journal, in the boot that writes the image, in the one that tries it
// and, where that is taken back, in the one that comes after: it always ends on
// a slot that runs, and the report says which.
func TestE2EFirmwareIsCutAtEveryCommit(t *testing.T) {
	if !thorough() {
		t.Skip("RATCHET_E2E=1 runs it, or make e2e")
	}
	t.Parallel()
	for is, lives := range map[string]int{"good": 2, "deaf": 3} {
		for life := range lives {
			t.Run(fmt.Sprintf("%s image, boot %d", is, life+1), func(t *testing.T) {
				t.Parallel()
				cutFirmware(t, is, life+1)
			})
		}
	}
}

func cutFirmware(t *testing.T, is string, life int) {
	const together = 3
	var mu sync.Mutex
	ends, points := map[string]int{}, 0
	for n := 1; ; n += together {
		was := points
		t.Run(fmt.Sprint("from ", n), func(t *testing.T) {
			for at := range together * 2 {
				point := fmt.Sprintf("%d-%s", n+at/2, []string{"before", "after"}[at%2])
				t.Run(point, func(t *testing.T) {
					t.Parallel()
					f := newFlashed(t, fmt.Sprintf("fw-%s-%d-%s", is, life, point), is, standIns(t))
					f.life, f.die = life, point
					f.live(func() <-chan time.Time { return nil })
					how := f.judge(is)
					mu.Lock()
					defer mu.Unlock()
					points += f.cuts
					ends[how] += f.cuts
				})
			}
		})
		if points == was {
			break
		}
	}
	if points == 0 {
		t.Error("nothing was cut: the hook does not work")
	}
	t.Logf("%s image, boot %d: %2d points", is, life, points)
	for _, how := range slices.Sorted(maps.Keys(ends)) {
		t.Logf("%3d cuts: %s", ends[how], how)
	}
}
