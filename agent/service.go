package agent

import (
	"context"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
)

// answered acts on what only a service says.
func (s *session) answered(ctx context.Context, e dialect.Event) {
	switch e := e.(type) {
	case dialect.Receipt:
		s.receipt(e)
	case dialect.Closed:
		s.closed(e)
	case dialect.Open:
		s.offered(e)
	case dialect.Past:
		s.recall(e)
	case dialect.Stale:
		note(s.edition.stale)
	case dialect.Say:
		s.publish(s.conn, e)
	case dialect.Missed:
		s.missed(ctx)
	case dialect.Call:
		s.loops.Go(func() { s.call(ctx, e) })
	case dialect.Defended:
		s.defendedBy(e)
	case dialect.Busy:
		s.log.Debug("the service is busy; it is asked again", "err", e.Err)
		note(s.later)
	}
}

// offered compares what the service holds open with what this device has begun.
func (s *session) offered(e dialect.Open) {
	held := map[string]bool{}
	for _, key := range e.Keys {
		held[key] = true
	}
	records, err := s.db.Unfinished()
	if err != nil {
		s.log.Error("the journal cannot be read", "err", err)
		return
	}
	for _, r := range records {
		switch {
		case held[r.Key] || dialect.From(r) != e.From:
		case e.Cancels:
			s.end(r.Key, "", time.Time{})
		case e.Sure:
			s.closed(dialect.Closed{Key: r.Key, Reason: "it is not offered any more"})
		default:
			s.publish(s.conn, s.dialect().Tell(dialect.Ask{Record: r}))
		}
	}
	if e.Cancels {
		s.stopFetching(func(id string) bool { return !held[id] })
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.opened:
	default:
		close(s.opened)
	}
}

// recall gives a new journal what this device told earlier.
func (s *session) recall(past dialect.Past) {
	if !s.db.New() {
		return
	}
	s.watch()
	for _, p := range past {
		s.readBack(p)
	}
	if err := s.journal.ReadBack(s.recalled()); err != nil {
		s.fail(err) // it is asked for again
		return
	}
	s.told.wake()
}

// ask puts the dialect's question until it is answered.
func (s *session) ask(ctx context.Context) {
	if !s.dialect().Connection().Asks {
		return
	}
	for wait := receiptMin; ; wait = min(2*wait, receiptMax) {
		for _, m := range s.dialect().Hello() {
			if err := s.conn.answered(ctx, s.conn.publish(m)); err != nil {
				s.fail(err)
				return
			}
		}
		select {
		case <-s.opened:
			if !s.rest(ctx) {
				return
			}
			wait = receiptMin
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// rest returns a while after the service could not answer a question, such as
// how a job stands; false when the session ends before.
func (s *session) rest(ctx context.Context) bool {
	select {
	case <-s.later:
	case <-ctx.Done():
		return false
	}
	select {
	case <-time.After(receiptMin):
		return true
	case <-ctx.Done():
		return false
	}
}
