package agent

import (
	"fmt"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/ratchetd/ratchet/telemetry"
)

// version and built are stamped by the Makefile; a plain go build leaves them
// to the build information.
var version, built string

// Version is this agent's version.
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// A clock knows a time that it cannot be before: when the agent was built, or
// the newest floor in the journal, and the running time since; what owners sign
// lifts it. The wall clock is never believed below it, and a jump forward does
// not move it.
type clock struct {
	synchronised func() bool // nil: as the kernel says

	mu   sync.Mutex
	base time.Time // the floor at start
	at   time.Time // when that was, monotonic
}

func (c *clock) start(saved time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.base, c.at = buildTime(), time.Now()
	if saved.After(c.base) {
		c.base = saved
	}
}

// aheadAtMost is how far the clocks of two that are both set may be apart.
const aheadAtMost = 24 * time.Hour

// raise lifts the floor towards the moment at which the owner signed a job that
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
func (c *clock) raise(signed time.Time) {
	if most := c.now().Add(aheadAtMost); signed.After(most) {
		signed = most
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if signed.After(c.base.Add(time.Since(c.at))) {
		c.base, c.at = signed, time.Now()
	}
}

// believable tells why something cannot have been signed then, as far as this
// clock knows better, since it is synchronised: so the owner of the computer that
// is wrong hears of it.
func (c *clock) believable(signed time.Time) error {
	synchronised := telemetry.ClockSynchronised
	if c.synchronised != nil {
		synchronised = c.synchronised
	}
	if !signed.IsZero() && c.plausible(signed).IsZero() && synchronised() {
		return fmt.Errorf("it says that it was made at %s, and here, where the clock is synchronised, it is %s: set the clock of the computer that signs, and sign anew",
			signed.UTC().Format(time.RFC3339), c.now().UTC().Format(time.RFC3339))
	}
	return nil
}

// plausible is the moment itself, or zero where it is further ahead than two
// clocks that are set may be.
func (c *clock) plausible(signed time.Time) time.Time {
	if signed.After(c.now().Add(aheadAtMost)) {
		return time.Time{}
	}
	return signed
}

func (c *clock) floor() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.base.Add(time.Since(c.at))
}

// now is the wall clock, or the floor where that is later.
func (c *clock) now() time.Time {
	now, floor := time.Now(), c.floor()
	if now.Before(floor) {
		return floor
	}
	return now
}

// sane tells whether the wall clock can be told to others and scheduled by.
func (c *clock) sane() bool { return telemetry.ClockSane(time.Now(), c.floor()) }

func (c *clock) status() ClockStatus {
	sane, why := telemetry.ClockState(time.Now(), c.floor())
	return ClockStatus{Sane: sane, Why: why, Now: time.Now().In(boardZone()).Truncate(time.Second), Floor: stampOf(c.floor())}
}

// boardZone is the board's own time zone.
func boardZone() *time.Location {
	if zone, err := telemetry.Zone(""); err == nil {
		return zone
	}
	return time.UTC
}

// stamp is the time for reports: zero while the clock is not sane, for a time
// that is left out is better than a wrong one.
func (c *clock) stamp() time.Time {
	if !c.sane() {
		return time.Time{}
	}
	return c.now()
}

func buildTime() time.Time {
	if sec, err := strconv.ParseInt(built, 10, 64); err == nil {
		return time.Unix(sec, 0)
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if t, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil {
				return t
			}
		}
	}
	return time.Time{}
}
