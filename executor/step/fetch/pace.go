package fetch

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/ratchetd/ratchet/executor"
)

// Jitter is d, give or take a half of it: devices that were cut off together must
// not come back together.
func Jitter(d time.Duration) time.Duration { return d/2 + rand.N(d) }

// pacer holds a transfer to a rate.
type pacer struct{ next time.Time }

// wait waits until n bytes may have come since it was called last.
func (p *pacer) wait(ctx context.Context, n int, rate int64) error {
	if rate <= 0 {
		return nil
	}
	now := time.Now()
	if p.next.Before(now.Add(-time.Second)) {
		p.next = now
	}
	p.next = p.next.Add(time.Duration(float64(n) / float64(rate) * float64(time.Second)))
	if d := p.next.Sub(now); d > 0 {
		return executor.Sleep(ctx, nil, d)
	}
	return nil
}
