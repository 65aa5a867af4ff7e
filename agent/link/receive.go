package link

import (
	"cmp"
	"context"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor/fence"
	"github.com/ratchetd/ratchet/store"
)

// drain decides what comes, in order, and acknowledges it then.
func (s *Session) drain(ctx context.Context) {
	for {
		select {
		case m := <-s.inbox:
			if ctx.Err() != nil {
				return
			}
			s.inHand(1)
			s.request(func() { s.receive(ctx, m.Message) }, "topic", m.Topic)
			s.inHand(-1)
			if ctx.Err() != nil {
				return // it may not be decided, so it is to come again
			}
			m.ack()
		case <-ctx.Done():
			return
		}
	}
}

func (s *Session) inHand(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy += n
}

// Decide runs f, which decides something about this id that came earlier: the
// job topics are not quiet before it is done.
func (s *Session) Decide(id string, f func()) {
	s.inHand(1)
	defer s.inHand(-1)
	f()
	s.touch(id)
}

// request runs f for one message or one question. Its panic is logged and ends
// that alone: the message counts as decided, else it would come again and again.
func (s *Session) request(f func(), about ...any) {
	err := fence.Call(func() error { f(); return nil })
	fence.Log(s.link.Log, err, "a bug kept a message from being handled: please report it", about...)
}

// receive decides what a message asks for; when it returns, what was decided
// is durable or is decided again when the retained message comes again. So the
// message can be acknowledged, whatever it was.
func (s *Session) receive(ctx context.Context, m dialect.Message) {
	for _, e := range s.link.dialect().Receive(m) {
		if v, ok := e.(dialect.Edition); ok && !s.twin.isNews(v) {
			return
		}
		if ctx.Err() != nil {
			return // what is left of it is decided when it comes again
		}
		if p, ok := e.(dialect.Presence); ok && s.claim(p, m.Retain) {
			continue
		}
		s.act(ctx, e)
	}
}

// act does what concerns the connection alone; the rest is the Handler's.
func (s *Session) act(ctx context.Context, e dialect.Event) {
	switch e := e.(type) {
	case dialect.Edition: // it was looked at before
	case dialect.Presence:
		s.heard(e)
		if s.link.DB.Lacks(store.Mark(e.Journal)) {
			s.link.Restart() // another one with this id, or what it left: the next session looks at it
		} else if !e.Online {
			s.correct()
		}
	case dialect.Told:
		s.readBack(e.Status)
	case dialect.Past:
		s.recallFrom(e)
	case dialect.Stale:
		signal(s.twin.stale)
	case dialect.Say:
		s.Send(e)
	case dialect.Held:
		s.revise(e)
	case dialect.Missed:
		s.missed(ctx)
	case dialect.Busy:
		s.link.Log.Debug("the service is busy; it is asked again", "err", e.Err)
		signal(s.later)
	default:
		s.handle(ctx, e)
	}
}

// handle gives an event to the Handler, and notes what the job topics brought.
func (s *Session) handle(ctx context.Context, e dialect.Event) {
	if _, offer := e.(dialect.Offer); offer && s.link.DB.New() {
		return // a kept session is early: what it brings comes again behind the read-back
	}
	s.link.Handler.Handle(ctx, s, e)
	switch e := e.(type) {
	case dialect.Offer:
		s.touch(cmp.Or(e.Key, e.ID))
	case dialect.Cancel:
		s.touch(e.ID)
	case dialect.Cleared:
		s.touch("")
	case dialect.Open:
		s.open()
	}
}

// open notes that the service has said which jobs it holds open.
func (s *Session) open() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.opened:
	default:
		close(s.opened)
	}
}

// touch notes that a job topic brought something about this id.
func (s *Session) touch(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = time.Now()
	if s.seen != nil && id != "" && len(id) <= maxName && len(s.seen) < maxSeen {
		s.seen[id] = true
	}
}

// readBack keeps what this device once told, for Remember.
func (s *Session) readBack(status dialect.JobStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = time.Now()
	s.past.add(status)
}

// watch begins to note what the job topics bring.
func (s *Session) watch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = map[string]bool{}
}

// listenBack begins to note what this device once told.
func (s *Session) listenBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.past = past{on: true}
}

// recall gives the Handler what this device once told.
func (s *Session) recall() error {
	s.mu.Lock()
	told, err := s.past.take()
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.link.Handler.Remember(told)
}

// signal says that there is something; once is enough.
func signal(to chan<- struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}
