package link

import (
	"context"
	"time"
)

const (
	quietFor = 2 * time.Second

	// SettleLimit is how long anything waits for the job topics to be quiet.
	SettleLimit = 2 * time.Minute
)

// silence returns when nothing has come for d and all that came is decided, or
// after SettleLimit of chatter.
func (s *Session) silence(ctx context.Context, d time.Duration) error {
	began := time.Now()
	if s.link.dialect().Connection().Service {
		select {
		case <-s.opened:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	s.touch("")
	for time.Since(began) < SettleLimit {
		s.mu.Lock()
		left := d - time.Since(s.last)
		if s.busy > 0 || len(s.inbox) > 0 {
			left = max(left, 50*time.Millisecond)
		}
		s.mu.Unlock()
		if left <= 0 {
			return nil
		}
		select {
		case <-time.After(left):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// settle says once that the job topics are quiet, for a cancel may be behind its
// job. whole: all retained offers are fetched.
func (s *Session) settle(ctx context.Context, whole bool) {
	err := s.silence(ctx, quietFor)
	if err == nil && whole {
		err = s.fetchAll(ctx)
	}
	if err != nil {
		s.Fail(err) // the next session waits for its own quiet
		return
	}
	s.mu.Lock()
	seen := s.seen
	s.seen = nil
	s.mu.Unlock()
	close(s.settled)
	if whole {
		s.link.fetched(s.wanted)
	}
	if !whole || len(seen) == maxSeen { // what else there is does not show: nothing is forgotten
		seen = nil
	}
	s.link.Handler.Settled(seen)
}

// manyOffers is where a broker may have dropped retained messages: mosquitto
// queues a thousand for a subscription with QoS 1.
const manyOffers = 500

// fetchAll fetches the offers with QoS 0, which drops none, if there are many.
func (s *Session) fetchAll(ctx context.Context) error {
	s.mu.Lock()
	many := len(s.seen) >= manyOffers
	s.mu.Unlock()
	if !many {
		return nil
	}
	for _, qos := range []byte{0, 1} {
		if _, err := s.conn.subscribe(ctx, s.link.dialect().Topics().Jobs, qos); err != nil {
			return err
		}
		if err := s.silence(ctx, quietFor); err != nil {
			return err
		}
	}
	return nil
}

// Settled reports whether a cancel had its chance to arrive on this connection.
func (l *Link) Settled() bool {
	s := l.Session()
	if s == nil {
		return false
	}
	select {
	case <-s.settled:
		return true
	default:
		return false
	}
}

// AwaitSettled returns once the job topics are quiet, so that a cancel had its
// chance to arrive; when ctx or stop ends; or after SettleLimit.
func (l *Link) AwaitSettled(ctx context.Context, stop <-chan struct{}) {
	for began := time.Now(); !l.Settled() && time.Since(began) < SettleLimit; {
		select {
		case <-time.After(time.Second):
		case <-stop:
			return
		case <-ctx.Done():
			return
		}
	}
}
