package intake

import (
	"context"
	"sync"
	"time"
)

const (
	fetchBurst = 8               // that begin as soon as there is room
	fetchEvery = 5 * time.Second // then one in that time
	fetchRoom  = 2               // at once: each holds a document in memory
)

// A limiter bounds how often documents are fetched that only a service has asked
// for: who signed one is known when it is there. However often a hostile hub
// changes a twin, it makes neither a tool against a server of this device, nor
// fills its memory.
type limiter struct {
	room chan struct{}

	mu   sync.Mutex
	next time.Time // when one may begin, but for what is left of the burst
}

func newLimiter() *limiter { return &limiter{room: make(chan struct{}, fetchRoom)} }

// begin waits until a fetch may begin; then done is to be called behind it.
func (p *limiter) begin(ctx context.Context) (done func(), err error) {
	for wait := p.takeTurn(); wait > 0; wait = p.takeTurn() {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	select {
	case p.room <- struct{}{}:
		return func() { <-p.room }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// takeTurn takes the turn that is due, or returns how long to wait for it.
func (p *limiter) takeTurn() (wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if full := now.Add(-(fetchBurst - 1) * fetchEvery); p.next.Before(full) {
		p.next = full
	}
	if wait = p.next.Sub(now); wait <= 0 {
		p.next = p.next.Add(fetchEvery)
	}
	return wait
}
