package fetch

import (
	"context"
	"time"

	"github.com/ratchetd/ratchet/executor"
)

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
