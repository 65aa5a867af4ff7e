package clock

import (
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
)

func TestABrokenCronIsRefused(t *testing.T) {
	if err := CheckWindow(&executor.Window{Cron: "TZ=0", Duration: executor.Duration(time.Hour)}); err == nil {
		t.Error("a cron that names a time zone was taken")
	}
}

// A window is open for its duration after each firing, also on the days when
// the clocks are changed: at 2:30 there is none, or there are two.
func TestAWindowIsOpenOnEveryOfItsDays(t *testing.T) {
	for _, tt := range []struct{ cron, tz, now, want string }{
		{"0 2 * * *", "", "2026-11-24T01:59:59Z", "window: opens 2026-11-24T02:00:00Z"},
		{"0 2 * * *", "", "2026-11-24T02:00:00Z", ""},
		{"0 2 * * *", "", "2026-11-24T02:59:59Z", ""},
		{"0 2 * * *", "", "2026-11-24T03:00:00Z", "window: opens 2026-11-25T02:00:00Z"},
		{"0 2 * * 0", "", "2026-11-24T02:00:00Z", "window: opens 2026-11-29T02:00:00Z"},
		{"30 2 * * *", "Europe/Berlin", "2026-03-29T00:59:00Z", "window: opens 2026-03-29T03:00:00+02:00"},
		{"30 2 * * *", "Europe/Berlin", "2026-03-29T01:30:00Z", ""},
		{"30 2 * * *", "Europe/Berlin", "2026-10-25T00:45:00Z", ""},
		{"30 2 * * *", "Europe/Berlin", "2026-10-25T02:00:00Z", "window: opens 2026-10-26T02:30:00+01:00"},
	} {
		now, err := time.Parse(time.RFC3339, tt.now)
		if err != nil {
			t.Fatal(err)
		}
		w := &executor.Window{Cron: tt.cron, TZ: tt.tz, Duration: executor.Duration(time.Hour)}
		if tt.tz == "" {
			w.TZ = "UTC"
		}
		if got := WindowClosed(w, now); got != tt.want {
			t.Errorf("%s %s at %s: got %q, want %q", tt.cron, tt.tz, tt.now, got, tt.want)
		}
	}
}

// A job with a window that never opens would wait for ever.
func TestAWindowThatCannotOpenIsRefused(t *testing.T) {
	for cron, want := range map[string]string{
		"0 0 30 2 *":  "there is no such day",
		"@every 24h":  "want five fields",
		"0 0 2 * * *": "want five fields",
		"61 * * * *":  "window: ",
	} {
		err := CheckWindow(&executor.Window{Cron: cron, Duration: executor.Duration(time.Hour)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", cron, err, want)
		}
	}
	if err := CheckWindow(&executor.Window{Cron: "0 0 29 2 *", TZ: "nowhere"}); err == nil || !strings.Contains(err.Error(), "window: tz: ") {
		t.Errorf("got %v, want an error about tz", err)
	}
}
