package agent

import (
	"context"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
)

// An edition is how far a session has read what a service holds for this device.
type edition struct {
	number uint64
	stale  chan struct{} // the whole is to be asked for
	fresh  chan struct{} // it came
}

func newEdition() edition {
	return edition{stale: make(chan struct{}, 1), fresh: make(chan struct{}, 1)}
}

// takes reports whether what comes with this edition is news. It is only called
// by the loop that receives.
func (d *edition) takes(e dialect.Edition) bool {
	last := d.number
	switch {
	case e.Whole && e.Number < last: // overtaken by a change
		note(d.stale)
		return false
	case e.Whole:
		note(d.fresh)
	case e.Number <= last:
		return false
	case e.Number > last+1 && last > 0:
		note(d.stale)
	}
	d.number = e.Number
	return true
}

func note(signal chan struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}

// refresh asks for the whole whenever it is needed, until it comes.
func (s *session) refresh(ctx context.Context) {
	for {
		select {
		case <-s.edition.stale:
		case <-ctx.Done():
			return
		}
		select {
		case <-s.edition.fresh: // of an earlier question
		default:
		}
		if err := s.askAgain(ctx); err != nil {
			return
		}
	}
}

func (s *session) askAgain(ctx context.Context) error {
	for wait := receiptMin; ; wait = min(2*wait, receiptMax) {
		for _, m := range s.dialect().Hello() {
			if err := s.conn.answered(ctx, s.conn.publish(m)); err != nil {
				s.fail(err)
				return err
			}
		}
		select {
		case <-s.edition.fresh:
			return nil
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// takenBack ends a job that its own service takes back. What never became a job
// is forgotten: the same id may come again.
func (s *session) takenBack(id string) {
	s.stopFetching(func(fetched string) bool { return fetched == id })
	key := s.keyOf(id)
	if _, known, err := s.db.Known(key); known || err != nil {
		s.end(key, "", time.Time{})
		return
	}
	s.told.unrefuse(key)
	s.cleared(id)
}

// missed tells facts again that the service did not take, in a while.
func (s *session) missed(ctx context.Context) {
	if s.missing.Swap(true) {
		return
	}
	s.loops.Go(func() {
		select {
		case <-time.After(6 * receiptMin):
			s.missing.Store(false)
			s.publish(s.conn, s.dialect().Tell(dialect.Facts(s.facts())))
		case <-ctx.Done():
		}
	})
}
