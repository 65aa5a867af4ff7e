package clock

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A floor is never lowered, so a time from a computer that is set wrong must not
// become one where the device knows better.
func TestATimeAheadOfASynchronisedClockIsNotBelieved(t *testing.T) {
	var c Clock
	c.Start(time.Now().Add(-time.Hour))
	for _, x := range []struct {
		ahead        time.Duration
		synchronised bool
		want         string
	}{
		{time.Hour, true, ""},
		{48 * time.Hour, true, "set the clock of the computer that signs"},
		{48 * time.Hour, false, ""}, // the only clock that there is
		{-48 * time.Hour, true, ""},
	} {
		c.Synchronised = func() bool { return x.synchronised }
		err := c.Believable(time.Now().Add(x.ahead))
		if (err == nil) != (x.want == "") || err != nil && !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s ahead, synchronised %v: got %v, want %q", x.ahead, x.synchronised, err, x.want)
		}
	}
	c.Start(time.Now().Add(72 * time.Hour))
	c.Synchronised = func() bool { return true }
	if err := c.Believable(time.Now().Add(80 * time.Hour)); err != nil {
		t.Errorf("got %v, want what is near the floor believed: the clock is behind that", err)
	}
}

// What a signature says lifts the floor by a day at most, wherever it is: far
// ahead by mistake, or right on a board that has just woken in the past.
func TestASignatureLiftsTheFloorByADayAtMost(t *testing.T) {
	year := 365 * 24 * time.Hour
	for _, tt := range []struct {
		name                     string
		floor, signed, then, now time.Duration // from what the clock shows; now: the floor of two signatures
	}{
		{"just now", -year, 0, 0, 0},
		{"an hour ago, above the floor", -year, -time.Hour, -2 * time.Hour, -time.Hour},
		{"below the floor", 0, -time.Hour, -time.Hour, 0},
		{"an hour ahead", -year, time.Hour, time.Hour, time.Hour},
		{"a century ahead", -year, 100 * year, 0, 24 * time.Hour},
		{"two, a century ahead", -year, 100 * year, 101 * year, 48 * time.Hour},
		{"today, where the clock is years behind", 0, 3 * year, 3*year + 24*time.Hour, 48 * time.Hour},
		{"long ago", -year, -100 * year, -100 * year, -year},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c Clock
				shows := time.Now()
				c.Start(shows.Add(tt.floor))
				c.Raise(shows.Add(tt.signed))
				c.Raise(shows.Add(tt.then))
				if got := c.Floor().Sub(shows); got != tt.now {
					t.Errorf("got a floor of %s, want %s", got, tt.now)
				}
			})
		})
	}
}
