package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ratchetd/ratchet/agent/build"
	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

// A session is one connection to the broker and what it has brought so far.
type session struct {
	*Agent
	conn   *conn
	inbox  chan inbound
	wanted uint64        // the state of topics, facts and credentials that it was made for
	hushed chan struct{} // closed once the job topics are quiet
	opened chan struct{} // closed once the service said what it holds open
	later  chan struct{} // the service could not answer
	began  executor.Time
	echoed atomic.Bool // what it said of itself came back
	loops  sync.WaitGroup

	edition edition
	missing atomic.Bool // facts that are told again

	mu   sync.Mutex
	last time.Time       // when a job topic last brought something
	busy int             // messages that are being decided
	seen map[string]bool // ids that a full subscribe brought; nil when there is none under way
	past []dialect.JobStatus

	fetching map[string]arriving // by the offer's id
}

// session makes one connection and serves it until it ends. asked, if not nil,
// gets to know when the device can be reached by it.
func (a *Agent) session(ctx context.Context, asked asking) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &session{Agent: a, inbox: make(chan inbound, 64), wanted: a.link.wants(), hushed: make(chan struct{}), opened: make(chan struct{}), later: make(chan struct{}, 1),
		began: clock.TimeOf(a.clock.Stamp()), edition: newEdition(), fetching: map[string]arriving{}}
	making, made := s.making(ctx, asked)
	var err error
	how := a.dialect().Connection()
	how.Clean = how.Clean || a.link.choked()
	if s.conn, err = dial(making, a.config.Load(), how, a.clock.Now, s.inbox); err != nil {
		return answer(asked, unmade{cmp.Or(made(), err)})
	}
	defer s.conn.close()
	defer s.loops.Wait()
	defer cancel()
	s.loops.Go(func() { s.drain(ctx) })
	anew, err := s.greet(making)
	if overtaken := made(); overtaken != nil {
		s.depart()
		return answer(asked, overtaken)
	}
	if answer(asked, err) != nil {
		return err
	}
	s.loops.Go(func() { s.hush(ctx, anew) })
	s.loops.Go(func() { s.listen(ctx) })
	s.loops.Go(func() { s.ask(ctx) })
	s.loops.Go(func() { s.refresh(ctx) })
	s.pulse.linking.Store(nil)
	defer func() { now := time.Now(); s.pulse.linking.Store(&now) }()
	select {
	case err := <-s.conn.lost:
		return err
	case <-clock.After(s.conn.renew):
		s.depart()
		return redial{}
	case next := <-a.link.redial:
		s.depart()
		return redial{next}
	case <-a.link.changed(s.wanted):
		s.depart()
		return redial{}
	case <-ctx.Done():
		s.depart()
		return nil
	}
}

// unmade is a connection that never stood.
type unmade struct{ error }

func (u unmade) Unwrap() error { return u.error }

// overtakenAfter is what a broker gets to answer a connection that is wanted no
// more. To break it off at once would let the broker read its CONNECT after that
// of its successor, and take that one's place with a connection that is dead.
const overtakenAfter = 2 * time.Second

// making is ctx that also ends when the connection that is being made is
// overtaken: nobody waits for it any more, or another one is wanted. A broker
// that takes a connection and says nothing would hold that up for half a minute.
// made ends that and returns what the connection was overtaken by, or nil.
func (s *session) making(ctx context.Context, asked asking) (_ context.Context, made func() error) {
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
			by = fmt.Errorf("%s does not answer", s.config.Load().Link.Broker)
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

func answer(asked asking, err error) error {
	if asked.tell != nil {
		asked.tell <- err
	}
	return err
}

// drain decides what comes, in order, and acknowledges it then.
func (s *session) drain(ctx context.Context) {
	for {
		select {
		case m := <-s.inbox:
			s.inHand(1)
			s.receive(ctx, m.Message)
			s.inHand(-1)
			m.ack()
		case <-ctx.Done():
			return
		}
	}
}

func (s *session) inHand(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy += n
}

// receive decides what a message asks for; when it returns, what was decided
// is durable or is decided again when the retained message comes again. So the
// message can be acknowledged, whatever it was.
func (s *session) receive(ctx context.Context, m dialect.Message) {
	for _, e := range s.dialect().Receive(m) {
		if d, ok := e.(dialect.Edition); ok && !s.edition.takes(d) {
			return
		}
		s.act(ctx, e)
	}
}

func (s *session) act(ctx context.Context, e dialect.Event) {
	switch e := e.(type) {
	case dialect.Offer:
		if s.db.New() {
			return // a kept session is early: what it brings comes again behind the read-back
		}
		if e.Remote != nil {
			s.fetchOffer(ctx, e)
		} else {
			_ = s.offer(ctx, e, true) // the refusal is told by its status
		}
		s.touch(keyOf(e))
	case dialect.Cancel:
		if e.Service {
			s.takenBack(e.ID)
		} else if err := s.cancel(e); err != nil {
			s.log.Warn("a cancel was refused", "job", e.ID, "err", err)
		}
		s.touch(e.ID)
	case dialect.Cleared:
		s.cleared(e.ID)
		s.touch("")
	case dialect.Presence:
		s.heard(e)
		if !e.Online { // an old session's will may come late
			s.publish(s.conn, s.presence())
		}
	case dialect.Told:
		s.readBack(e.Status)
	default:
		s.answered(ctx, e)
	}
}

func (a *Agent) presence() []dialect.Message {
	return a.dialect().Tell(dialect.Presence{Online: true, Since: clock.TimeOf(a.clock.Stamp()), Agent: build.Version()})
}

// depart says offline before a clean end; the broker then sends no will.
func (s *session) depart() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	for _, m := range s.dialect().Tell(dialect.Presence{}) {
		if err := s.conn.answered(ctx, s.conn.publish(m)); err != nil {
			return
		}
	}
}

// touch notes that a job topic brought something about this id.
func (s *session) touch(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = time.Now()
	if s.seen != nil && id != "" {
		s.seen[id] = true
	}
}

// readBack keeps what this device once told, for remember.
func (s *session) readBack(status dialect.JobStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = time.Now()
	if status.State != executor.Rejected {
		s.past = append(s.past, status)
	}
}

// watch begins to note what the job topics bring.
func (s *session) watch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen, s.past = map[string]bool{}, nil
}

// silence returns when nothing has come for d and all that came is decided, or
// after two minutes of chatter.
func (s *session) silence(ctx context.Context, d time.Duration) error {
	began := time.Now()
	if s.dialect().Connection().Asks {
		select {
		case <-s.opened:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	s.touch("")
	for time.Since(began) < settling {
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

// hush lets new jobs begin once the job topics are quiet, for a cancel may be
// behind its job.
func (s *session) hush(ctx context.Context, anew bool) {
	err := s.silence(ctx, quietFor)
	if err == nil && anew {
		err = s.fetchAll(ctx)
	}
	if err != nil {
		s.fail(err) // the next session waits for its own quiet
		return
	}
	s.mu.Lock()
	seen := s.seen
	s.seen = nil
	s.mu.Unlock()
	close(s.hushed)
	s.queue.release()
	if anew {
		s.link.fetched(s.wanted)
		if err := s.prune(seen); err != nil {
			s.log.Warn("the history was not pruned", "err", err)
		}
	}
	trim()
}

// manyOffers is where a broker may have dropped retained messages: mosquitto
// queues a thousand for a subscription with QoS 1.
const manyOffers = 500

// fetchAll fetches the offers with QoS 0, which drops none, if there are many.
func (s *session) fetchAll(ctx context.Context) error {
	s.mu.Lock()
	many := len(s.seen) >= manyOffers
	s.mu.Unlock()
	if !many {
		return nil
	}
	for _, qos := range []byte{0, 1} {
		if _, err := s.conn.subscribe(ctx, s.dialect().Topics().Jobs, qos); err != nil {
			return err
		}
		if err := s.silence(ctx, quietFor); err != nil {
			return err
		}
	}
	return nil
}

// fail ends the session: what is left to tell is told on the next one.
func (s *session) fail(err error) { s.conn.fail(fmt.Errorf("speaking with the broker: %w", err)) }

var errNoSession = errors.New("not connected yet")
