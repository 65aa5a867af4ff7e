// Package clock is the time by which a device judges: the wall clock, never below
// a floor that it cannot be before, and what is due by it: schedules, windows, and
// a stable share of a span. It starts nothing and sleeps for nothing.
package clock

import (
	"fmt"
	"sync"
	"time"

	"github.com/ratchetd/ratchet/agent/build"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/telemetry"
)

// A Clock knows a time that it cannot be before: when the agent was built, or
// the newest floor in the journal, and the running time since; what owners sign
// lifts it. The wall clock is never believed below it, and a jump forward does
// not move it.
type Clock struct {
	Synchronised func() bool      // nil: as the kernel says
	Wall         func() time.Time // the wall clock; nil: this machine's

	mu   sync.Mutex
	base time.Time // the floor at start
	at   time.Time // when that was, monotonic
}

// Start begins at the newest of the build time and the floor that was saved.
func (c *Clock) Start(saved time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.base, c.at = build.Time(), time.Now()
	if saved.After(c.base) {
		c.base = saved
	}
}

// aheadAtMost is how far the clocks of two that are both set may be apart.
const aheadAtMost = 24 * time.Hour

// Raise lifts the floor towards the moment at which the owner signed a job that
// has just been accepted, by aheadAtMost behind what this clock shows.
//
// A floor is never lowered, and it expires jobs. One signature of a computer
// whose clock is years ahead must not cut a device off for years, and the device
// cannot tell: a board without a clock, which wakes in the year of its build,
// sees the same of a good signature. So neither is refused there, and neither is
// believed at once. Wrong ones cost a device as many days as it has taken such
// jobs, in which those that end soon are refused; then it has made them good by
// itself. Good ones lift a floor that lies years behind by a day each, beside its
// running time; where the clock is right they lift it all the way, so that one
// that is set back later is known for wrong. What that leaves to a broker, on
// a board that nobody tells the time, are jobs that this board has never seen,
// from the days that its floor is behind: it could have brought them out before
// any newer one all the same. A job counts once, for its id is used up; refused
// jobs and cancels, which a broker can bring as often as it likes, do not.
func (c *Clock) Raise(signed time.Time) {
	if most := c.Now().Add(aheadAtMost); signed.After(most) {
		signed = most
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if signed.After(c.base.Add(time.Since(c.at))) {
		c.base, c.at = signed, time.Now()
	}
}

// Believable tells why something cannot have been signed then, as far as this
// clock knows better, since it is synchronised: so the owner of the computer that
// is wrong hears of it.
func (c *Clock) Believable(signed time.Time) error {
	synchronised := telemetry.ClockSynchronised
	if c.Synchronised != nil {
		synchronised = c.Synchronised
	}
	if !signed.IsZero() && c.Plausible(signed).IsZero() && synchronised() {
		return fmt.Errorf("it says that it was made at %s, and here, where the clock is synchronised, it is %s: set the clock of the computer that signs, and sign again",
			signed.UTC().Format(time.RFC3339), c.Now().UTC().Format(time.RFC3339))
	}
	return nil
}

// Plausible is the moment itself, or zero where it is further ahead than two
// clocks that are set may be.
func (c *Clock) Plausible(signed time.Time) time.Time {
	if signed.After(c.Now().Add(aheadAtMost)) {
		return time.Time{}
	}
	return signed
}

// Floor is the time that it cannot be before.
func (c *Clock) Floor() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.base.Add(time.Since(c.at))
}

// Now is the wall clock, or the floor where that is later.
func (c *Clock) Now() time.Time {
	now, floor := c.wall(), c.Floor()
	if now.Before(floor) {
		return floor
	}
	return now
}

func (c *Clock) wall() time.Time {
	if c.Wall != nil {
		return c.Wall()
	}
	return time.Now()
}

// Sane reports whether the wall clock can be told to others and scheduled by.
func (c *Clock) Sane() bool { return telemetry.ClockSane(c.wall(), c.Floor()) }

// Status is how the clock is, for people.
func (c *Clock) Status() Status {
	sane, why := telemetry.ClockState(c.wall(), c.Floor())
	return Status{Sane: sane, Why: why, Now: c.wall().In(Zone()).Truncate(time.Second), Floor: TimeOf(c.Floor())}
}

// Zone is the board's own time zone.
func Zone() *time.Location {
	if zone, err := telemetry.Zone(""); err == nil {
		return zone
	}
	return time.UTC
}

// Stamp is the time for reports: zero while the clock is not sane, for a time
// that is left out is better than a wrong one.
func (c *Clock) Stamp() time.Time {
	if !c.Sane() {
		return time.Time{}
	}
	return c.Now()
}

// Status is whether the clock can be believed.
type Status struct {
	Sane  bool          `json:"sane"`
	Why   string        `json:"why"`
	Now   time.Time     `json:"now"` // in the board's own time zone
	Floor executor.Time `json:"floor"`
}

// TimeOf is t as reports write it: in UTC, whole seconds.
func TimeOf(t time.Time) executor.Time {
	if t.IsZero() {
		return executor.Time{}
	}
	return executor.Time{Time: t.UTC().Truncate(time.Second)}
}
