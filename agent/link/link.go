package link

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ratchetd/ratchet/agent/build"
	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/link/packet"
	"github.com/ratchetd/ratchet/executor/backoff"
	"github.com/ratchetd/ratchet/store"
)

const (
	awayTooLong = 10 * time.Minute // then all retained offers are fetched again
	backoffMin  = time.Second
	backoffMax  = 2 * time.Minute
	fightPause  = 5 * time.Minute
)

// A Link is the connection to the broker, as all loops see it. Make it with New
// and set the exported fields before Run.
type Link struct {
	Config  *config.Current
	Clock   *clock.Clock
	Handler Handler
	DB      *store.DB // what it keeps across restarts
	// Raise tells an operator what he has to know.
	Raise func(name, severity, why string)
	Log   *slog.Logger

	mu      sync.Mutex
	session *Session          // nil until all is said that is said first
	since   time.Time         // when it was made, or lost
	err     error             // why there is none
	told    map[string]string // what the log has heard of each broker since there was a connection
	at      int               // which of the brokers is tried, or connected to
	drops   []time.Time       // when connections were lost, of late
	redial  chan asking       // for a fresh connection
	// Topics, facts and credentials have changed so often; the offers of that
	// many are fetched. A session that was made for fewer is made again.
	wanted, have uint64
	poke         chan struct{} // closed when wanted rises

	refusals  refusals
	explained bool // the broker ended the last session over something that it does not take; Run's own

	making  atomic.Pointer[time.Time] // since when a connection is being made or ended
	rtt     atomic.Int64              // milliseconds that the broker last took to acknowledge something
	facts   atomic.Pointer[[]byte]    // as they were told last
	unheard atomic.Int32              // connections in a row on which this device did not hear itself
}

// New is a link that is not connected.
func New() *Link {
	return &Link{redial: make(chan asking), since: time.Now(), wanted: 1, poke: make(chan struct{})}
}

// Run keeps a connection to the broker until ctx ends.
func (l *Link) Run(ctx context.Context) error {
	c := l.Config.Load()
	wait := clock.Share(c.Device, time.Duration(c.Link.Spread))
	pause := backoff.Pause{First: backoffMin, Most: backoffMax}
	var takeovers takeovers
	var asked asking
	alone := true // no connection was tried yet
	for {
		if asked.tell == nil {
			select {
			case <-ctx.Done():
				return nil
			case asked = <-l.redial:
			case <-time.After(wait):
			}
		}
		if asked.tell != nil {
			pause.Reset() // how a trial goes says nothing of the link behind it
		}
		began := time.Now()
		l.making.Store(&began)
		l.explained = false
		err := l.serve(ctx, asked)
		l.making.Store(nil)
		if ctx.Err() != nil {
			return nil
		}
		var again redial
		fresh := errors.As(err, &again)
		asked = again.asked
		l.down(err)
		next := l.turn(err)
		if alone && errors.As(err, new(dialError)) {
			l.Handler.Settled(nil) // what it had taken before it started waits for nobody
		}
		alone = false
		if wait = 0; !next {
			wait = pauseAfter(&pause, time.Since(began), fresh)
		}
		if l.explained {
			pause.Reset() // the next session goes on behind it
			wait = backoffMin
		} else if takeovers.lost(time.Now(), time.Since(began), err) {
			l.Raise("duplicate-id", "critical", "the broker drops this device again and again: does another one use the id "+c.Device+"?")
			wait = fightPause
		}
	}
}

// pauseAfter is how long to wait after a session that held for so long. One that
// was ended for a fresh one is followed at once.
func pauseAfter(pause *backoff.Pause, held time.Duration, fresh bool) time.Duration {
	if fresh || held > time.Minute {
		pause.Reset()
	}
	if fresh {
		return 0
	}
	wait := pause.Next()
	return wait/2 + rand.N(wait/2)
}

func (l *Link) dialect() dialect.Dialect { return l.Config.Load().Dialect() }

func (l *Link) presence() []dialect.Message {
	return l.dialect().Tell(dialect.Presence{Online: true, Since: clock.TimeOf(l.Clock.Stamp()), Agent: build.Version(), Journal: dialect.Journal(l.DB.Mark())})
}

// absence says that the device is offline, and how far its journal is.
func (l *Link) absence(journal store.Mark) []dialect.Message {
	return l.dialect().Tell(dialect.Presence{Journal: dialect.Journal(journal)})
}

// up notes that the device can be reached by s. The log hears of it at the start
// and where it has heard that there was no connection.
func (l *Link) up(s *Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.told == nil || len(l.told) > 0 {
		l.told = map[string]string{}
		l.Log.Info("connected to the broker", "broker", l.broker())
	}
	l.session, l.since, l.err = s, time.Now(), nil
}

// down notes that the connection is gone.
func (l *Link) down(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session != nil {
		l.since = time.Now()
		if !errors.As(err, new(redial)) {
			l.drops = append(l.drops[max(0, len(l.drops)-maxDrops):], l.since)
		}
	}
	l.session, l.err = nil, err
	if to := l.broker(); !errors.As(err, new(redial)) && l.told[to] != err.Error() {
		if l.told == nil {
			l.told = map[string]string{}
		}
		l.told[to] = err.Error()
		l.Log.Warn("no connection to the broker", "broker", to, "err", err)
	}
}

// turn goes on to the next broker where this one did not let the device in, and
// back to the first when a session ended. It reports whether to try that one at
// once: between two rounds there is a pause.
func (l *Link) turn(err error) (atOnce bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !errors.As(err, new(dialError)) {
		l.at = 0
		return false
	}
	l.at = (l.at + 1) % len(l.Config.Load().Brokers())
	return l.at != 0
}

// broker is the one that is tried, or connected to; the lock is held.
func (l *Link) broker() string {
	all := l.Config.Load().Brokers()
	return all[l.at%len(all)]
}

// Broker is the one that is tried, or connected to.
func (l *Link) Broker() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broker()
}

// maxDrops bounds those that are counted.
const maxDrops = 99

// Drops counts the connections that were lost within that time.
func (l *Link) Drops(within time.Duration) int {
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

// unreadable reports whether the broker sent what cannot be read. The session
// that it keeps would bring that again, whatever is cleared: so it must go.
func (l *Link) unreadable() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.As(l.err, new(*packet.Violation))
}

// Session is the one to speak on, or nil.
func (l *Link) Session() *Session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.session
}

// Reachable tells why the broker cannot be reached now, or nil.
func (l *Link) Reachable(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session == nil {
		return cmp.Or(l.err, errNoSession)
	}
	return nil
}

var errNoSession = errors.New("not connected yet")

// Making is since when a connection has been made or ended; nil: none is.
func (l *Link) Making() *time.Time { return l.making.Load() }

// Status is how a link is.
type Status struct {
	Connected bool
	For       int64  // seconds that it has been so
	Err       string // why not, or what is wrong with it
}

// Status is how the link is now.
func (l *Link) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Status{Connected: l.session != nil, For: int64(time.Since(l.since).Seconds())}
	switch {
	case l.session == nil && l.err != nil:
		s.Err = l.err.Error()
	case l.session != nil && l.unheard.Load() > 1:
		s.Err = Unheard
	}
	return s
}

// RTT is how many milliseconds the broker last took to acknowledge something.
func (l *Link) RTT() int64 { return l.rtt.Load() }

// NoteRTT notes how long the broker took to acknowledge something just now.
func (l *Link) NoteRTT(took time.Duration) { l.rtt.Store(took.Milliseconds()) }
