package rollout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ratchetd/ratchet/executor"
)

const (
	// Hold is for how long a carrier writes itself in.
	Hold = time.Minute
	// Beat is how often it looks what comes next.
	Beat = time.Second / 2
	// refreshEvery is how often all that is retained is asked for again.
	refreshEvery = 30 * time.Second
)

// A Carrier carries a rollout on: it writes itself in, looks at the fleet, decides
// and acts, until nothing comes any more. Where another carrier is at work it
// watches, and takes over when that is not heard of any more.
type Carrier struct {
	Ledger
	Hold time.Duration // zero is Hold
	Beat time.Duration // zero is Beat
	// Show is told how the rollout stands, again and again; it may be nil.
	Show func(d Document, s Seen, mine bool)

	look time.Duration // what it takes to look at the fleet
}

var (
	errOver    = errors.New("nothing comes any more")
	errCarried = errors.New("another carrier is at work")
)

// Run carries the rollout on until it is paused, done or aborted, or ctx ends;
// then others may take over at once. The ledger must have read what is retained.
func (c *Carrier) Run(ctx context.Context) (Document, error) {
	if c.Hold == 0 {
		c.Hold = Hold
	}
	if c.Beat == 0 {
		c.Beat = Beat
	}
	refreshed := time.Now()
	for {
		err := c.step(ctx)
		if err == nil || errors.Is(err, errCarried) {
			err = c.listen(ctx, max(c.Beat, 10*c.look))
		}
		switch {
		case errors.Is(err, errOver):
			return c.doc, nil
		case ctx.Err() != nil:
			c.release()
			return c.doc, context.Cause(ctx)
		case err != nil:
			return c.doc, err
		}
		if time.Since(refreshed) >= refreshEvery {
			refreshed = time.Now()
			c.Broker.Refresh()
		}
	}
}

// step does what comes next, if anything does.
func (c *Carrier) step(ctx context.Context) error {
	d, err := c.Document()
	if err != nil {
		return err
	}
	now := time.Now()
	seen := c.View.See(d, now)
	c.look = time.Since(now)
	if c.Show != nil {
		c.Show(d, seen, c.mine(d))
	}
	if err := c.repair(ctx); err != nil {
		return err
	}
	switch {
	case d.State == Aborted:
		if err := c.offer(ctx, seen.Behind); err != nil {
			return err
		}
		return errOver
	case d.State != Running:
		return errOver
	case c.carried(d, now):
		return nil
	case !c.mine(d) || d.Carrier.Until.Sub(now) < c.Hold*2/3:
		return c.write(ctx, c.claim)
	}
	if next := Decide(d, seen, c.ID, now); !next.Changed {
		return c.offer(ctx, next.Offer)
	}
	return c.write(ctx, c.decide)
}

func (c *Carrier) mine(d Document) bool { return d.Carrier != nil && d.Carrier.ID == c.ID }

// carried reports whether another carrier is at work: its claim has not run out,
// or it was heard of a short while ago, whatever its clock says. A claim for long
// was written by a clock that is wrong.
func (c *Carrier) carried(d Document, now time.Time) bool {
	if d.Carrier == nil || c.mine(d) {
		return false
	}
	left := d.Carrier.Until.Sub(now)
	return left > 0 && left <= 10*c.Hold || c.voice == d.Carrier.ID && now.Sub(c.heard) < c.Hold
}

// claim writes the carrier in, for the first time or again.
func (c *Carrier) claim(d Document) (Document, error) {
	now := time.Now()
	if d.State != Running {
		return d, errUnchanged
	}
	if c.carried(d, now) {
		return d, errCarried
	}
	if was := d.Carrier; was != nil && was.ID != c.ID {
		d = d.with(Event{At: stamp(now), By: c.ID, Did: "carried on", Wave: d.wave().String(),
			Because: fmt.Sprintf("%s was not heard of since %s", was.ID, was.Until.Add(-c.Hold).Format(time.RFC3339))})
	}
	d.Carrier = &Claim{ID: c.ID, Until: until(now.Add(c.Hold))}
	return d, nil
}

// until is rounded up: a claim must not be over before it begins.
func until(t time.Time) executor.Time {
	return stamp(t.Add(time.Second - time.Nanosecond))
}

// decide writes what was decided, if it is still so.
func (c *Carrier) decide(d Document) (Document, error) {
	now := time.Now()
	if !c.mine(d) {
		return d, errCarried
	}
	next := Decide(d, c.View.See(d, now), c.ID, now)
	if !next.Changed {
		return d, errUnchanged
	}
	return next.Document, nil
}

// release lets others take over at once.
func (c *Carrier) release() {
	if d := c.doc; c.mine(d) && d.State == Running && c.err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		d.Carrier = nil
		d.Rev, d.By = d.Rev+1, c.ID
		_ = c.put(ctx, d) // the claim runs out by itself
	}
}
