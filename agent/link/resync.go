package link

import (
	"context"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor/backoff"
)

// A service answers within seconds or never: then it is asked again, first after
// AnswerMin, and at last every AnswerMax. Tests shorten them.
var AnswerMin, AnswerMax = 10 * time.Second, 640 * time.Second

// A twinVersion is how far a session has read what a service holds for this device.
type twinVersion struct {
	number uint64
	stale  chan struct{} // the whole is to be asked for
	fresh  chan struct{} // it came
}

func newTwinVersion() twinVersion {
	return twinVersion{stale: make(chan struct{}, 1), fresh: make(chan struct{}, 1)}
}

// isNews reports whether what comes with this edition is news. It is only called
// by the loop that receives.
func (d *twinVersion) isNews(e dialect.Edition) bool {
	last := d.number
	switch {
	case e.Whole && e.Number < last: // overtaken by a change
		signal(d.stale)
		return false
	case e.Whole:
		signal(d.fresh)
	case e.Number <= last:
		return false
	case e.Number > last+1 && last > 0:
		signal(d.stale)
	}
	d.number = e.Number
	return true
}

// refresh asks for the whole whenever it is needed, until it comes.
func (s *Session) refresh(ctx context.Context) {
	for {
		select {
		case <-s.twin.stale:
		case <-ctx.Done():
			return
		}
		select {
		case <-s.twin.fresh: // of an earlier question
		default:
		}
		if !s.askUntil(ctx, s.twin.fresh) {
			return
		}
	}
}

// ask puts the dialect's question to a service: at first until it is answered,
// and again whenever the service could not answer another one.
func (s *Session) ask(ctx context.Context) {
	if !s.link.dialect().Connection().Service {
		return
	}
	for s.askUntil(ctx, s.opened) && s.rest(ctx) {
	}
}

// askUntil says the dialect's Hello again and again until it is answered; false
// when the session ends before.
func (s *Session) askUntil(ctx context.Context, answered <-chan struct{}) bool {
	pause := backoff.Pause{First: AnswerMin, Most: AnswerMax}
	for {
		for _, m := range s.link.dialect().Hello() {
			if err := s.conn.answered(ctx, s.conn.publish(m)); err != nil {
				s.Fail(err)
				return false
			}
		}
		select {
		case <-answered:
			return true
		case <-time.After(pause.Next()):
		case <-ctx.Done():
			return false
		}
	}
}

// rest returns a while after the service could not answer a question, such as
// how a job stands; false when the session ends before.
func (s *Session) rest(ctx context.Context) bool {
	select {
	case <-s.later:
	case <-ctx.Done():
		return false
	}
	select {
	case <-time.After(AnswerMin):
		return true
	case <-ctx.Done():
		return false
	}
}

// recallFrom gives a new journal what a service says that this device told earlier.
func (s *Session) recallFrom(told dialect.Past) {
	if !s.link.DB.New() {
		return
	}
	s.watch()
	s.listenBack()
	for _, status := range told {
		s.readBack(status)
	}
	if err := s.recall(); err != nil {
		s.Fail(err) // it is asked for again
	}
}

// revise tells the facts to a service that holds others.
func (s *Session) revise(held dialect.Held) {
	if facts := s.link.facts.Load(); facts != nil {
		s.Send(s.link.dialect().Tell(dialect.Revision{Facts: *facts, Held: held.Facts}))
	}
}

// missed tells facts again that the service did not take, in a while: it is
// asked what it holds.
func (s *Session) missed(ctx context.Context) {
	if s.missing.Swap(true) {
		return
	}
	s.loops.Go(func() {
		select {
		case <-time.After(6 * AnswerMin):
			s.missing.Store(false)
			signal(s.twin.stale)
		case <-ctx.Done():
		}
	})
}
