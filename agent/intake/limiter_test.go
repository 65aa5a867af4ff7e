package intake

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A hub that changes what it wants all the time gets eight fetches at once, and
// then one every five seconds; who has given up takes nobody's turn.
func TestFetchesForAServiceArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, began := newLimiter(), time.Now()
		for i := range 30 {
			gone, cancel := context.WithCancel(t.Context())
			cancel()
			if i >= fetchBurst {
				if _, err := p.begin(gone); err == nil {
					t.Fatal("one that was given up has begun")
				}
			}
			done, err := p.begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			done()
			if got, want := time.Since(began), max(0, time.Duration(i-fetchBurst+1))*fetchEvery; got != want {
				t.Errorf("fetch %d began after %s, want %s", i, got, want)
			}
		}
		time.Sleep(time.Hour)
		for range fetchBurst {
			if wait := p.takeTurn(); wait > 0 {
				t.Errorf("after an hour of rest one waits for %s", wait)
			}
		}
		if p.takeTurn() != fetchEvery {
			t.Error("after an hour of rest more than a burst began at once")
		}
	})
}

func TestTwoFetchesAtOnceAreEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newLimiter()
		var all []func()
		for range fetchRoom {
			done, err := p.begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, done)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := p.begin(ctx); err == nil {
			t.Error("a third one began")
		}
		all[0]()
		if _, err := p.begin(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
