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
// the newest floor in the journal, and the running time since. The wall clock
// is never believed below it, and a jump forward does not move it.
type clock struct {
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

// raise takes a moment that has certainly passed, such as when the owner signed
// something.
func (c *clock) raise(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.After(c.base.Add(time.Since(c.at))) {
		c.base, c.at = t, time.Now()
	}
}

// aheadAtMost is how far the clocks of two that are both set may be apart.
const aheadAtMost = 24 * time.Hour

// believable tells why something cannot have been signed then, as far as this
// clock knows better, since it is synchronised. A floor cannot be taken back: one
// owner's computer that is set wrong would cut off every device for good.
func (c *clock) believable(signed time.Time, synchronised bool) error {
	if now := c.now(); synchronised && signed.After(now.Add(aheadAtMost)) {
		return fmt.Errorf("it says that it was made at %s, and here, where the clock is synchronised, it is %s: set the clock of the computer that signs, and sign anew",
			signed.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return nil
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
