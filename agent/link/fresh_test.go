package link

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// What counts is when the broker is back, to the second.
func TestAFreshConnectionIsTriedForUntilTheDeadline(t *testing.T) {
	const within = 20 * time.Second
	for _, back := range []time.Duration{0, within - time.Second, within + time.Second} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), within)
			defer cancel()
			l, began := New(), time.Now()
			go func() { // in place of the loop that makes connections
				for {
					select {
					case asked := <-l.redial:
						if time.Since(began) < back {
							asked.tell <- errors.New("connection refused")
						} else {
							asked.tell <- nil
						}
					case <-ctx.Done():
						return
					}
				}
			}()
			err := l.Fresh(ctx)
			if (err == nil) != (back < within) || time.Since(began) != min(back, within) {
				t.Errorf("broker back after %s: got %v after %s", back, err, time.Since(began))
			}
		})
	}
}
