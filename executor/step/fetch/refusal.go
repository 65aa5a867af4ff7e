package fetch

import (
	"errors"
	"fmt"
	"syscall"
	"time"
)

// refusedFor is how long a port at which nobody listens is tried again: a server that
// only starts again is there by then, and one that does not exist needs no five minutes.
const refusedFor = time.Minute

// Refusals notice a port at which nobody listens.
type Refusals struct{ since time.Time }

// Wait is how long to wait before the next try, where else it would be that long: the
// last one comes when the minute is over.
func (r *Refusals) Wait(pause time.Duration) time.Duration {
	if r.since.IsZero() {
		return pause
	}
	return min(pause, max(0, time.Until(r.since.Add(refusedFor))))
}

// Judge is err, and final once nobody has listened for a minute.
func (r *Refusals) Judge(err error) error {
	if !errors.Is(err, syscall.ECONNREFUSED) {
		r.since = time.Time{}
		return err
	}
	if r.since.IsZero() {
		r.since = time.Now()
	}
	if time.Since(r.since) < refusedFor {
		return err
	}
	return Finally(fmt.Errorf("%w, for %s: no server listens there: see whether host and port of the url are right", err, refusedFor))
}
