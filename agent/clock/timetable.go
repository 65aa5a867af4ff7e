package clock

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/ratchetd/ratchet/telemetry"
)

// A Timetable says when a schedule is due.
type Timetable struct {
	spec   string
	every  time.Duration // at its multiples since 1970; 0: by cron
	Reboot bool          // once a boot, and at no other time
	cron   *cron.SpecSchedule
	hourly bool // cron names no hour: it follows time as it passes, whatever the clocks show
	zone   *time.Location
}

const leastEvery = time.Second

var scheduleParser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

// ParseTimetable reads the five fields of cron, @daily and the like, @every SPAN
// or @reboot, in the time zone of that name or, without one, the board's own.
func ParseTimetable(spec, tz string) (Timetable, error) {
	if spec == "@reboot" {
		return Timetable{spec: spec, Reboot: true}, nil
	}
	if span, ok := strings.CutPrefix(spec, "@every "); ok {
		d, err := time.ParseDuration(strings.TrimSpace(span))
		if err != nil || d < leastEvery || d%time.Second != 0 {
			return Timetable{}, fmt.Errorf("%q: want whole seconds, such as @every 90m", spec)
		}
		return Timetable{spec: spec, every: d}, nil
	}
	if strings.Contains(spec, "=") {
		return Timetable{}, fmt.Errorf("%q: the time zone is tz", spec)
	}
	parsed, err := scheduleParser.Parse(sundays(spec))
	if err != nil {
		return Timetable{}, fmt.Errorf("%q: want five fields such as \"0 3 * * *\", @daily, @every 90m or @reboot: %w", spec, err)
	}
	t := Timetable{spec: spec, cron: parsed.(*cron.SpecSchedule)} // what the parser makes of fields and descriptors
	if t.zone, err = telemetry.Zone(tz); err != nil {
		return t, fmt.Errorf("tz: %w", err)
	}
	const allHours = 1<<24 - 1
	t.hourly = t.cron.Hour&allHours == allHours
	if t.Next(time.Unix(0, 0)).IsZero() {
		return t, errors.New("there is no such day")
	}
	return t, nil
}

// Form is by what it is due: two timetables are the same where theirs are. A time zone
// counts by how far its winter and its summer are from UTC, not by its name: the
// board's own has none.
func (t Timetable) Form() string {
	if t.cron == nil {
		return t.spec
	}
	const year = 2026 // any, but always the same
	_, winter := time.Date(year, 1, 1, 0, 0, 0, 0, t.zone).Zone()
	_, summer := time.Date(year, 7, 1, 0, 0, 0, 0, t.zone).Zone()
	return fmt.Sprintf("%s %+d %+d", t.spec, winter, summer)
}

// Hourless reports whether it names no hour of the day: it follows time as it passes.
func (t Timetable) Hourless() bool { return t.every > 0 || t.hourly }

// Next is when it is due for the first time behind that moment; zero: never.
func (t Timetable) Next(after time.Time) time.Time {
	switch {
	case t.Reboot:
		return time.Time{}
	case t.every > 0:
		step := int64(t.every / time.Second)
		return time.Unix((after.Unix()/step+1)*step, 0).UTC()
	case t.hourly:
		return t.cron.Next(after.In(t.zone)).UTC()
	}
	return t.byTheClock(after)
}

// byTheClock is next for a certain hour of the day, on days when the clocks are
// changed too: what lies in the hour that is left out is due at its end, and
// what lies in the hour that comes twice is due the first time only. The cron
// library leaves out the one and does the other twice. So it is asked for the
// clock's face alone, as if in UTC.
func (t Timetable) byTheClock(after time.Time) time.Time {
	for face := faceOf(after.In(t.zone)); ; {
		face = t.cron.Next(face)
		if face.IsZero() {
			return face
		}
		if due := t.shows(face); due.After(after) {
			return due
		}
	}
}

// faceOf is what the clock shows, as a time in UTC.
func faceOf(at time.Time) time.Time {
	return time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), 0, time.UTC)
}

// shows is when the clock shows that face for the first time, or passes it.
func (t Timetable) shows(face time.Time) time.Time {
	_, before := face.AddDate(0, 0, -1).In(t.zone).Zone()
	_, behind := face.AddDate(0, 0, 1).In(t.zone).Zone()
	early := face.Add(-time.Duration(max(before, behind)) * time.Second)
	late := face.Add(-time.Duration(min(before, behind)) * time.Second)
	for _, at := range []time.Time{early, late} {
		if faceOf(at.In(t.zone)).Equal(face) {
			return at
		}
	}
	changed, _ := late.In(t.zone).ZoneBounds()
	return changed.UTC()
}

// Latest is when it was last due between two moments, the second included; zero:
// it was not.
func (t Timetable) Latest(after, until time.Time) time.Time {
	due := t.Next(after)
	if due.IsZero() || due.After(until) {
		return time.Time{}
	}
	low := due // it is due then, and not between high and until
	for high := until; high.Sub(low) > time.Second; {
		middle := low.Add(high.Sub(low) / 2)
		if next := t.Next(middle); next.IsZero() || next.After(until) {
			high = middle
		} else {
			low = next
		}
	}
	if next := t.Next(low); !next.IsZero() && !next.After(until) {
		return next
	}
	return low
}

// After is time.After for a time that may be never.
func After(d time.Duration) <-chan time.Time {
	if d <= 0 {
		return nil
	}
	return time.After(d)
}
