package link

import (
	"context"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
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

// takes reports whether what comes with this edition is news. It is only called
// by the loop that receives.
func (d *twinVersion) takes(e dialect.Edition) bool {
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
		if err := s.askAgain(ctx); err != nil {
			return
		}
	}
}

// askAgain puts the question until its answer comes.
func (s *Session) askAgain(ctx context.Context) error {
	for wait := AnswerMin; ; wait = min(2*wait, AnswerMax) {
		if err := s.hello(ctx); err != nil {
			return err
		}
		select {
		case <-s.twin.fresh:
			return nil
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// hello puts the dialect's question once.
func (s *Session) hello(ctx context.Context) error {
	for _, m := range s.link.dialect().Hello() {
		if err := s.conn.answered(ctx, s.conn.publish(m)); err != nil {
			s.Fail(err)
			return err
		}
	}
	return nil
}

// ask puts the dialect's question until it is answered.
func (s *Session) ask(ctx context.Context) {
	if !s.link.dialect().Connection().Asks {
		return
	}
	for wait := AnswerMin; ; wait = min(2*wait, AnswerMax) {
		if s.hello(ctx) != nil {
			return
		}
		select {
		case <-s.opened:
			if !s.rest(ctx) {
				return
			}
			wait = AnswerMin
		case <-time.After(wait):
		case <-ctx.Done():
			return
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

// recall gives a new journal what this device told earlier.
func (s *Session) recall(past dialect.Past) {
	if !s.link.Journal.New() {
		return
	}
	s.watch()
	for _, p := range past {
		s.readBack(p)
	}
	if err := s.link.Handler.Remember(s.recalled()); err != nil {
		s.Fail(err) // it is asked for again
	}
}

// missed tells facts again that the service did not take, in a while.
func (s *Session) missed(ctx context.Context) {
	if s.missing.Swap(true) {
		return
	}
	s.loops.Go(func() {
		select {
		case <-time.After(6 * AnswerMin):
			s.missing.Store(false)
			s.Send(s.link.dialect().Tell(dialect.Facts(s.link.Handler.Facts())))
		case <-ctx.Done():
		}
	})
}
