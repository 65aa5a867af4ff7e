package agent

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/link/packet"
)

const (
	quietFor    = 2 * time.Second
	awayTooLong = 10 * time.Minute // then all retained offers are fetched anew
	backoffMin  = time.Second
	backoffMax  = 2 * time.Minute
	fightPause  = 5 * time.Minute
)

// A link is what all loops know of the connection to the broker.
type link struct {
	mu      sync.Mutex
	session *session    // nil until all is said that is said first
	since   time.Time   // when it was made, or lost
	err     error       // why there is none
	drops   []time.Time // when connections were lost, of late
	redial  chan asking // for a fresh connection
	// Topics, facts and credentials have changed so often; the offers of that
	// many are fetched. A session that was made for fewer is made anew.
	wanted, have uint64
	poke         chan struct{} // closed when wanted rises

	rtt      atomic.Int64           // milliseconds that the broker last took to acknowledge something
	facts    atomic.Pointer[[]byte] // as they were told last
	restless atomic.Bool            // a target asked for facts that come and go
	unheard  atomic.Int32           // connections in a row on which this device did not hear itself
}

func newLink() *link {
	return &link{redial: make(chan asking), since: time.Now(), wanted: 1, poke: make(chan struct{})}
}

// connect keeps a connection to the broker until ctx ends.
func (a *Agent) connect(ctx context.Context) error {
	c := a.config.Load()
	wait := clock.Share(c.Device, time.Duration(c.Link.Spread))
	var fights fights
	var asked asking
	for {
		if asked.tell == nil {
			select {
			case <-ctx.Done():
				return nil
			case asked = <-a.link.redial:
			case <-time.After(wait):
			}
		}
		if asked.tell != nil {
			wait = 0 // how a trial goes says nothing of the link behind it
		}
		began := time.Now()
		a.pulse.linking.Store(&began)
		err := a.session(ctx, asked)
		a.pulse.linking.Store(nil)
		if ctx.Err() != nil {
			return nil
		}
		var again redial
		fresh := errors.As(err, &again)
		asked = again.asked
		a.link.down(a, err)
		wait = backoff(wait, time.Since(began), fresh)
		if fights.lost(time.Now(), time.Since(began), err) {
			a.alerts.raise("duplicate-id", "critical", "the broker drops this device again and again: does another one use the id "+c.Device+"?")
			wait = fightPause
		}
	}
}

// backoff doubles the pause up to its bound; a session that held begins anew,
// and one that was ended for a fresh one is followed at once.
func backoff(wait, held time.Duration, fresh bool) time.Duration {
	if fresh {
		return 0
	}
	wait = min(2*wait, backoffMax)
	if held > time.Minute || wait < backoffMin {
		wait = backoffMin
	}
	return wait/2 + rand.N(wait/2)
}

// asking is for a fresh connection: tell gets to know when the device can be
// reached by it, or why not; when over is closed nobody wants it any more.
type asking struct {
	tell chan<- error
	over <-chan struct{}
}

// redial ends a session for a fresh one, which somebody may have asked for.
type redial struct{ asked asking }

func (redial) Error() string { return "a fresh connection was asked for" }

// fresh makes a new connection and returns once the device can be reached by
// it, or ctx ends. What counts is the connection, not that one stands already.
func (l *link) fresh(ctx context.Context) error {
	err := cmp.Or(l.alive(ctx), errNoSession)
	for told := false; ; told = !errors.As(err, new(redial)) {
		reason := make(chan error, 1)
		select {
		case l.redial <- asking{reason, ctx.Done()}:
		case <-ctx.Done():
			return err
		}
		select {
		case err = <-reason:
		case <-ctx.Done():
			if told { // of an attempt that was made to its end
				return err
			}
			select { // what it was waiting for is worth knowing
			case err = <-reason:
			case <-time.After(backoffMin):
			}
		}
		if err == nil {
			return nil
		}
		select {
		case <-time.After(backoffMin):
		case <-ctx.Done():
			return err
		}
	}
}

// up notes that the device can be reached by s.
func (l *link) up(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.session, l.since, l.err = s, time.Now(), nil
}

// down notes that the connection is gone.
func (l *link) down(a *Agent, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session != nil {
		l.since = time.Now()
		if !errors.As(err, new(redial)) {
			l.drops = append(l.drops[max(0, len(l.drops)-maxDrops):], l.since)
		}
	}
	changed := l.err == nil || l.err.Error() != err.Error()
	l.session, l.err = nil, err
	if changed && !errors.As(err, new(redial)) {
		a.log.Warn("no connection to the broker", "err", err)
	}
}

// maxDrops bounds those that are counted.
const maxDrops = 99

// lost counts the connections that were lost within that time.
func (l *link) lost(within time.Duration) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, at := range l.drops {
		if time.Since(at) < within {
			n++
		}
	}
	return n
}

// choked reports whether the broker sent what cannot be read. The session that
// it keeps would bring that again, whatever is cleared: so it must go.
func (l *link) choked() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.As(l.err, new(*packet.Violation))
}

// current is the session to speak on, or nil.
func (l *link) current() *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.session
}

// alive tells why the broker cannot be reached now, or nil.
func (l *link) alive(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session == nil {
		return cmp.Or(l.err, errNoSession)
	}
	return nil
}

// quiet reports whether a cancel had its chance to arrive on this connection.
func (l *link) quiet() bool {
	s := l.current()
	if s == nil {
		return false
	}
	select {
	case <-s.hushed:
		return true
	default:
		return false
	}
}

// anew gives up the connection for a new one, at once: the board has another
// address. One that a trial asks for, or that is made just now, is as good.
func (l *link) anew() {
	select {
	case l.redial <- asking{}:
	default:
	}
}

// restart asks for a connection that fetches everything anew.
func (l *link) restart() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wanted++
	close(l.poke)
	l.poke = make(chan struct{})
}

// wants is what a session that is made now is made for.
func (l *link) wants() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.wanted
}

// changed is closed when more is wanted than a session was made for.
func (l *link) changed(made uint64) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wanted == made {
		return l.poke
	}
	now := make(chan struct{})
	close(now)
	return now
}

// fetched notes for what all offers have been fetched.
func (l *link) fetched(made uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.have = made
}

// lacks reports whether all retained offers are to be fetched: otherwise the
// session that the broker kept stands, and a metered link carries nothing twice.
func (l *link) lacks() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.have != l.wanted || l.unheard.Load() == 1 || time.Since(l.since) > awayTooLong
}

// fights counts connections that the broker ended soon after they were made:
// what two devices with one id do to each other. A broker that cannot be
// reached in between is one that starts and falls, not a fight.
type fights struct {
	at []time.Time
	on bool
}

// lost takes the end of a session and reports whether there is a fight, which
// lasts until a session held.
func (f *fights) lost(now time.Time, held time.Duration, err error) bool {
	switch {
	case errors.As(err, new(redial)):
		return false
	case held > awayTooLong, !f.on && errors.As(err, new(unmade)):
		*f = fights{}
	case held < time.Minute && droppedByPeer(err):
		f.at = append(f.at, now)
		f.at = f.at[max(0, len(f.at)-5):]
		f.on = f.on || len(f.at) == 5 && now.Sub(f.at[0]) < 10*time.Minute
	}
	return f.on
}

// droppedByPeer tells an end that the broker made from one that the network made.
func droppedByPeer(err error) bool {
	return !errors.As(err, new(unmade)) && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET))
}
