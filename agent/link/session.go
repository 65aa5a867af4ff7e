package link

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/fence"
)

// A Session is one connection to the broker and what it has brought so far.
type Session struct {
	link   *Link
	conn   *conn
	inbox  chan inbound
	wanted uint64        // the state of topics, facts and credentials that it was made for
	began  executor.Time // as its first words have it
	loops  fence.Group

	settled chan struct{} // closed once the job topics are quiet
	opened  chan struct{} // closed once the service said what it holds open
	later   chan struct{} // the service could not answer
	twin    twinVersion
	missing atomic.Bool // facts that are told again
	echoed  atomic.Bool // what it said of itself came back

	saying  chan struct{} // held by who says whether the device is there
	leaving bool          // it says, or has said, that the device is offline; whoever holds saying may look

	mu   sync.Mutex
	last time.Time       // when a job topic last brought something
	busy int             // messages that are being decided
	seen map[string]bool // ids that a full subscribe brought; nil when there is none under way
	past past

	claims chan claim // what the broker has of this device's journal, while that is looked for
}

func newSession(l *Link) *Session {
	return &Session{link: l, inbox: make(chan inbound, 64), wanted: l.wants(), began: clock.TimeOf(l.Clock.Stamp()), twin: newTwinVersion(),
		settled: make(chan struct{}), opened: make(chan struct{}), later: make(chan struct{}, 1), saying: make(chan struct{}, 1)}
}

// serve makes one connection and serves it until it ends. asked gets to know
// when the device can be reached by it.
func (l *Link) serve(ctx context.Context, asked asking) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := newSession(l)
	s.loops.Fail = s.panicked
	making, made := s.making(ctx, asked)
	var err error
	how := l.dialect().Connection()
	as := opening{clean: how.Service || l.unreadable()}
	if how.Will {
		as.will = &l.absence(l.DB.Will())[0]
	}
	if s.conn, err = dial(making, l.Config.Load().At(l.Broker()), as, l.Clock.Now, s.inbox); err != nil {
		return asked.answer(dialError{cmp.Or(made(), err)})
	}
	if !how.Service {
		s.conn.refused = &l.refusals
	}
	defer func() { l.explained = l.blame(s.conn) }()
	defer s.conn.close()
	defer s.loops.Wait()
	defer cancel()
	if !l.DB.New() {
		l.Handler.Hold() // a kept session may bring offers at once
	}
	s.loops.Go(func() { s.drain(ctx) })
	whole, err := s.handshake(making)
	if overtaken := made(); overtaken != nil {
		s.depart()
		return asked.answer(overtaken)
	}
	if asked.answer(err) != nil {
		return err
	}
	s.loops.Go(func() { s.settle(ctx, whole) })
	s.loops.Go(func() { s.listen(ctx) })
	s.loops.Go(func() { s.ask(ctx) })
	s.loops.Go(func() { s.refresh(ctx) })
	l.making.Store(nil)
	defer func() { now := time.Now(); l.making.Store(&now) }()
	return s.await(ctx)
}

// await returns when the connection ends, or is to be made again.
func (s *Session) await(ctx context.Context) error {
	select {
	case err := <-s.conn.lost:
		return err
	case <-clock.After(s.conn.renew):
		s.depart()
		return redial{}
	case next := <-s.link.redial:
		s.depart()
		return redial{next}
	case <-s.link.changed(s.wanted):
		s.depart()
		return redial{}
	case <-ctx.Done():
		s.depart()
		return nil
	}
}

// A dialError is of a connection that never stood.
type dialError struct{ error }

func (e dialError) Unwrap() error { return e.error }

// overtakenAfter is what a broker gets to answer a connection that is wanted no
// more. To break it off at once would let the broker read its CONNECT after that
// of its successor, and take that one's place with a connection that is dead.
const overtakenAfter = 2 * time.Second

// making is ctx that also ends when the connection that is being made is
// overtaken: nobody waits for it any more, or another one is wanted. A broker
// that takes a connection and says nothing would hold that up for half a minute.
// made ends that and returns what the connection was overtaken by, or nil.
func (s *Session) making(ctx context.Context, asked asking) (_ context.Context, made func() error) {
	ctx, cancel := context.WithCancelCause(ctx)
	stood, watch := make(chan struct{}), sync.WaitGroup{}
	var by error
	watch.Go(func() {
		select {
		case next := <-s.link.redial:
			by = redial{next}
		case <-s.link.changed(s.wanted):
			by = redial{}
		case <-asked.over:
			by = fmt.Errorf("%s does not answer", s.link.Broker())
			cancel(by)
		case <-stood:
			return
		}
		select {
		case <-time.After(overtakenAfter):
			cancel(by)
		case <-stood:
		}
	})
	return ctx, func() error {
		close(stood)
		watch.Wait()
		return cmp.Or(by, context.Cause(ctx))
	}
}

// departFor is what a broker gets to take the last words.
const departFor = 2 * time.Second

var errDeparting = errors.New("the broker does not take the last words of this device")

// depart says offline before a clean end; the broker then sends no will. One that
// acknowledges nothing holds up neither that nor what the loops are sending.
func (s *Session) depart() {
	time.AfterFunc(departFor, func() { s.conn.fail(errDeparting) }) // nothing to a connection that is closed by then
	ctx, cancel := context.WithTimeout(context.Background(), departFor)
	defer cancel()
	if !s.leave(ctx) {
		return // a broker that takes nothing hears of it by the will
	}
	for _, m := range s.link.absence(s.link.DB.Mark()) {
		if err := s.conn.answered(ctx, s.conn.publish(m)); err != nil {
			return
		}
	}
}

// Fail ends the session: what is left to tell is told on the next one. Whoever
// was only told to stop says nothing of the connection: on it the device still has
// to say that it is offline.
func (s *Session) Fail(err error) {
	if !errors.Is(err, context.Canceled) {
		s.conn.fail(fmt.Errorf("speaking with the broker: %w", err))
	}
}

// panicked ends the session for a panic in one of its loops.
func (s *Session) panicked(p *fence.Panic) {
	fence.Log(s.link.Log, p, "a part of the session panicked")
	s.Fail(p)
}

// Go runs f until it returns, which the end of the session waits for.
func (s *Session) Go(f func()) { s.loops.Go(func() { s.request(f) }) }

// Opened is closed once the service said which jobs it holds open.
func (s *Session) Opened() <-chan struct{} { return s.opened }
