package telemetry

import (
	"strings"
	"testing"
	"time"
)

func TestClockIsBelievedForAReason(t *testing.T) {
	floor := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	later, earlier := floor.Add(time.Hour), floor.Add(-time.Second)
	router := clock{openWrt: true, uptime: 95 * time.Second}
	for _, c := range []struct {
		name  string
		clock clock
		now   time.Time
		want  bool
		why   string
	}{
		{"router just booted", router, later, false, "not synchronised yet"},
		{"router at the floor", clock{openWrt: true, synchronised: true}, floor, true, "synchronised"},
		{"router with a battery clock", clock{openWrt: true, rtc: true}, later, true, "the board has one"},
		{"router after ten minutes", clock{openWrt: true, uptime: 10 * time.Minute}, later, true, "nobody has set it for 10m0s"},
		{"no router", clock{}, later, true, "the system keeps it"},
		{"nothing helps below the floor", clock{synchronised: true, rtc: true, uptime: time.Hour}, earlier, false, "has certainly passed"},
	} {
		if got, why := c.clock.state(c.now, floor); got != c.want || !strings.Contains(why, c.why) {
			t.Errorf("%s: got %v, %s, want %v, %s", c.name, got, why, c.want, c.why)
		}
	}
}

func TestClocksReasonsAreReadFromTheBoard(t *testing.T) {
	for dir, want := range map[string]clock{
		"testdata/router": {openWrt: true, uptime: 95 * time.Second},
		"testdata/pc":     {rtc: true, uptime: 24 * time.Hour},
	} {
		got := readClock(treeOf(board(dir)))
		got.synchronised = false // the test machine's kernel has no file for it
		if got != want {
			t.Errorf("%s: got %+v, want %+v", dir, got, want)
		}
	}
}

func TestFloorInTheFutureIsNeverSane(t *testing.T) {
	if now := time.Now(); ClockSane(now, now.Add(time.Hour)) {
		t.Error("got sane, want not: the clock is below the floor")
	}
}

func TestBootIDStaysTheSameInOneBoot(t *testing.T) {
	a, err := BootID()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := BootID(); a != b || len(a) != 36 || err != nil {
		t.Errorf("got %q and %q, %v; want the same id of 36 characters", a, b, err)
	}
}
