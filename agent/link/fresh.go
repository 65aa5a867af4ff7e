package link

import (
	"cmp"
	"context"
	"errors"
	"time"
)

// asking is for a fresh connection: tell gets to know when the device can be
// reached by it, or why not; when over is closed nobody wants it any more.
type asking struct {
	tell chan<- error
	over <-chan struct{}
}

// answer says how it went; the error is returned as it is.
func (a asking) answer(err error) error {
	if a.tell != nil {
		a.tell <- err
	}
	return err
}

// redial ends a session for a fresh one, which somebody may have asked for.
type redial struct{ asked asking }

func (redial) Error() string { return "a fresh connection was asked for" }

// Fresh makes a new connection and returns once the device can be reached by
// it, or ctx ends. What counts is the connection, not that one stands already.
func (l *Link) Fresh(ctx context.Context) error {
	err := cmp.Or(l.Reachable(ctx), errNoSession)
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

// Redial gives up the connection for a new one, at once: the board has another
// address. One that a trial asks for, or that is made just now, is as good.
func (l *Link) Redial() {
	select {
	case l.redial <- asking{}:
	default:
	}
}

// Restart asks for a connection that fetches everything again: topics, facts or
// credentials have changed.
func (l *Link) Restart() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wanted++
	close(l.poke)
	l.poke = make(chan struct{})
}

// wants is what a session that is made now is made for.
func (l *Link) wants() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.wanted
}

// changed is closed when more is wanted than a session was made for.
func (l *Link) changed(made uint64) <-chan struct{} {
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
func (l *Link) fetched(made uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.have = made
}

// lacks reports whether all retained offers are to be fetched: otherwise the
// session that the broker kept stands, and a metered link carries nothing twice.
func (l *Link) lacks() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.have != l.wanted || l.unheard.Load() == 1 || time.Since(l.since) > awayTooLong
}
