package fetch

import (
	"errors"
	"time"
)

// slowest is the rate, in bytes per second, below which a peer is not waited for:
// what is slower only holds the queue.
const slowest = 64

// ErrSlow is a peer that is too slow to be waited for.
var ErrSlow = errors.New("fewer than 64 bytes a second come, for minutes: given up")

// A Floor notices a peer that is too slow, which a limit on silence does not.
type Floor struct {
	Every time.Duration // over which the rate is taken
	Rate  int64         // to which the transfer is held; 0 is none

	since time.Time
	came  int64
}

// Came counts bytes; its error is ErrSlow.
func (f *Floor) Came(n int) error {
	now := time.Now()
	if f.since.IsZero() {
		f.since = now
	}
	f.came += int64(n)
	took := now.Sub(f.since)
	if took < f.Every {
		return nil
	}
	least := float64(slowest)
	if f.Rate > 0 {
		least = min(least, float64(f.Rate)/2)
	}
	if float64(f.came) < least*took.Seconds() {
		return ErrSlow
	}
	f.since, f.came = now, 0
	return nil
}

// Pause leaves out a time in which nothing was to come.
func (f *Floor) Pause(d time.Duration) {
	if !f.since.IsZero() {
		f.since = f.since.Add(d)
	}
}
