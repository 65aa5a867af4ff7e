package agent

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
)

const (
	quietFor    = 2 * time.Second
	awayTooLong = 10 * time.Minute // then all retained offers are fetched anew
	backoffMin  = time.Second
	backoffMax  = 2 * time.Minute
)

// A link is what is known of the connection to the broker, for all loops.
type link struct {
	mu     sync.Mutex
	conn   *conn         // nil until all is said that is said first
	since  time.Time     // when conn was made, or lost
	err    error         // why there is none
	hushed chan struct{} // closed once the job topics are quiet after a connect
	last   time.Time     // when a job topic last brought something
	seen   map[string]bool
	past   []dialect.JobStatus // what a new journal reads back
	redial chan chan<- error   // asks for a fresh connection
	stale  bool                // topics or facts changed: fetch all offers anew

	facts   atomic.Pointer[[]byte] // as they were told last
	network atomic.Bool            // a target asked for the network
}

func newLink() *link {
	return &link{hushed: make(chan struct{}), redial: make(chan chan<- error), since: time.Now(), stale: true}
}

// connect keeps a connection to the broker until ctx ends.
func (a *Agent) connect(ctx context.Context) error {
	c := a.config.Load()
	wait := share(c.Device, time.Duration(c.Link.Spread))
	var fights fights
	var asked chan<- error
	for {
		if asked == nil {
			select {
			case <-ctx.Done():
				return nil
			case asked = <-a.link.redial:
			case <-time.After(wait):
			}
		}
		began := time.Now()
		err := a.session(ctx, asked)
		if ctx.Err() != nil {
			return nil
		}
		var again redial
		errors.As(err, &again)
		asked = again.asked
		a.link.down(a, err)
		wait = backoff(wait, time.Since(began))
		if fights.lost(time.Now(), time.Since(began), err) {
			a.alerts.raise("duplicate-id", "critical", "the broker drops this device again and again: does another one use the id "+c.Device+"?")
			wait = 5 * time.Minute
		}
	}
}

// backoff doubles the pause up to its bound; a session that held begins anew.
func backoff(wait, held time.Duration) time.Duration {
	wait = min(2*wait, backoffMax)
	if held > time.Minute || wait < backoffMin {
		wait = backoffMin
	}
	return wait/2 + rand.N(wait/2)
}

// redial ends a session for a fresh connection; asked gets to know of it.
type redial struct{ asked chan<- error }

func (redial) Error() string { return "a fresh connection was asked for" }

// unmade is why no connection was made, which is nobody's taking it over: a
// load balancer hangs up at once while the broker behind it is down.
type unmade struct{ error }

// session makes one connection and serves it until it ends. asked, if not nil,
// gets to know when the device can be reached.
func (a *Agent) session(ctx context.Context, asked chan<- error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	inbox := make(chan inbound, 64)
	n, err := dial(ctx, a.config.Load(), a.dialect().Will(), a.clock.now, inbox)
	if err != nil {
		answer(asked, err)
		return unmade{err}
	}
	defer n.close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.drain(ctx, inbox)
	}()
	defer func() { cancel(); <-done }()
	if err := a.greet(ctx, n); err != nil {
		answer(asked, err)
		return err
	}
	answer(asked, nil)
	select {
	case err := <-n.lost:
		return err
	case asked := <-a.link.redial:
		a.depart(n)
		return redial{asked}
	case <-ctx.Done():
		a.depart(n)
		return nil
	}
}

func answer(asked chan<- error, err error) {
	if asked != nil {
		asked <- err
	}
}

// drain decides what comes, in order, and acknowledges it then.
func (a *Agent) drain(ctx context.Context, inbox <-chan inbound) {
	for {
		select {
		case m := <-inbox:
			a.receive(ctx, m.Message)
			m.ack()
		case <-ctx.Done():
			return
		}
	}
}

// depart says offline before a clean end; the broker then sends no will.
func (a *Agent) depart(n *conn) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	for _, m := range a.dialect().Tell(dialect.Presence{}) {
		if err := answered(ctx, n.publish(m)); err != nil {
			return
		}
	}
}

// fresh makes a new connection and returns once the device can be reached by
// it, or ctx ends. What counts is the connection, not that one stands already.
func (l *link) fresh(ctx context.Context) error {
	err := errors.New("not tried")
	for {
		asked := make(chan error, 1)
		select {
		case l.redial <- asked:
		case <-ctx.Done():
			return err
		}
		select {
		case err = <-asked:
			if err == nil {
				return nil
			}
		case <-ctx.Done():
			return err
		}
		select {
		case <-time.After(backoffMin):
		case <-ctx.Done():
			return err
		}
	}
}

// down notes that the connection is gone.
func (l *link) down(a *Agent, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		l.since = time.Now()
	}
	changed := l.err == nil || l.err.Error() != err.Error()
	l.conn, l.err = nil, err
	l.hushed = make(chan struct{})
	if changed && !errors.As(err, new(redial)) {
		a.log.Warn("no connection to the broker", "err", err)
	}
}

// current is the connection to publish on, or nil.
func (l *link) current() *conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn
}

// alive tells why the broker cannot be reached now, or nil.
func (l *link) alive(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil {
		return cmp.Or(l.err, errors.New("not connected yet"))
	}
	return nil
}

// quiet is closed once the job topics have been quiet after a connect.
func (l *link) quiet() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hushed
}

// touch notes that a job topic brought something about this id.
func (l *link) touch(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = time.Now()
	if l.seen != nil && id != "" {
		l.seen[id] = true
	}
}

// fights counts connections that the broker ended soon after they were made:
// what two devices with one id do to each other.
type fights struct{ at []time.Time }

func (f *fights) lost(now time.Time, held time.Duration, err error) bool {
	if held > time.Minute || !droppedByPeer(err) {
		return false
	}
	f.at = append(f.at, now)
	if len(f.at) > 5 {
		f.at = f.at[1:]
	}
	return len(f.at) == 5 && now.Sub(f.at[0]) < 10*time.Minute
}
