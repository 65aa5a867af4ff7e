// Package backoff paces what is tried again until it works.
package backoff

import (
	"math/rand/v2"
	"time"
)

// A Pause is how long to wait before each next try: First, then twice as long
// each time, up to Most. Its zero value waits not at all.
type Pause struct {
	First, Most time.Duration
	next        time.Duration
}

// Next is how long to wait now.
func (p *Pause) Next() time.Duration {
	wait := max(p.next, p.First)
	p.next = min(2*wait, p.Most)
	return wait
}

// Reset makes Next begin with First again: something has worked.
func (p *Pause) Reset() { p.next = 0 }

// Jitter is d, give or take a half of it: devices that were cut off together must
// not come back together.
func Jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return d/2 + rand.N(d)
}
