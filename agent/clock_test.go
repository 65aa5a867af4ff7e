package agent

import (
	"strings"
	"testing"
	"time"
)

// A floor is never lowered, so a time from a computer that is set wrong must not
// become one where the device knows better.
func TestATimeAheadOfASynchronisedClockIsNotBelieved(t *testing.T) {
	var c clock
	c.start(time.Now().Add(-time.Hour))
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
		err := c.believable(time.Now().Add(x.ahead), x.synchronised)
		if (err == nil) != (x.want == "") || err != nil && !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s ahead, synchronised %v: got %v, want %q", x.ahead, x.synchronised, err, x.want)
		}
	}
	c.raise(time.Now().Add(72 * time.Hour))
	if err := c.believable(time.Now().Add(80*time.Hour), true); err != nil {
		t.Errorf("got %v, want what is near the floor believed: the clock is behind that", err)
	}
}
