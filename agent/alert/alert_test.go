package alert_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What happened is over a day later, also on a device that is never away from its
// broker, and whatever the clock showed when it happened.
func TestWhatHappenedIsOverADayLater(t *testing.T) {
	for name, since := range map[string]string{"as told": "2000-01-01T00:00:00Z", "before the clock was set": "", "while it was years ahead": "2030-01-01T00:00:00Z"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDiary(t, "", "2000-01-01T00:00:00Z")
				d.on()
				defer func() { d.Off() }()
				l := d.alerts
				raised := `{"gave-up":{"name":"gave-up","severity":"warning","state":"raised","rule":"job j"`
				if since != "" {
					raised += `,"since":"` + since + `"`
				}
				if err := errors.Join(d.DB.Set("alerts", []byte(raised+"}}")), l.Load()); err != nil {
					t.Fatal(err)
				}
				l.Age()
				if len(l.List()) == 0 && !strings.Contains(name, "ahead") {
					t.Error("it is over at once")
				}
				time.Sleep(25 * time.Hour)
				l.Age()
				if left := l.List(); len(left) != 0 {
					t.Errorf("got %v, which is never over", left)
				}
			})
		})
	}
}

func TestAnAlertIsRaisedOnceAndClearedOnceAcrossRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary(t, "", "2000-01-01T00:00:00Z")
		again := func() { d.Off(); d.on() }
		d.on()
		defer func() { d.Off() }()
		for _, act := range []struct {
			name, told string
			do         func()
		}{
			{"raised", "no-room raised", func() { d.alerts.Raise("no-room", "critical", "full") }},
			{"raised, as it is", "", func() { d.alerts.Raise("no-room", "critical", "full") }},
			{"raised after a restart, as it is", "", func() { again(); d.alerts.Raise("no-room", "critical", "full") }},
			{"told again on a new connection", "no-room raised", func() { d.alerts.Resend() }},
			{"cleared", "no-room cleared", func() { d.alerts.Clear("no-room") }},
			{"cleared, as it is", "", func() { d.alerts.Clear("no-room") }},
			{"told again after a restart, for the broker may not have it", "no-room cleared", func() { again(); d.alerts.Resend() }},
			{"never raised", "", func() { d.alerts.Clear("clock") }},
		} {
			act.do()
			if got := d.told(); got != act.told {
				t.Errorf("%s: told %q, want %q", act.name, got, act.told)
			}
		}
	})
}

func TestAClearedAlertIsForgottenOnceItIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary(t, "", "2000-01-01T00:00:00Z")
		d.on()
		defer func() { d.Off() }()
		d.alerts.Raise("no-room", "critical", "full")
		d.notices[0].Told() // which forgets nothing that is raised
		if list := d.alerts.List(); len(list) != 1 || list[0].Name != "no-room" || list[0].Device != "gw-1" {
			t.Errorf("got %v raised, want no-room of gw-1", list)
		}
		d.alerts.Clear("no-room")
		cleared := d.notices[1]
		d.alerts.Raise("no-room", "critical", "full again") // before the end of the first is told
		cleared.Told()
		if len(d.alerts.List()) != 1 {
			t.Error("what was raised again is forgotten with the one before")
		}
		d.alerts.Clear("no-room")
		d.notices[3].Told()
		d.told()
		d.Off()
		d.on()
		if d.alerts.Resend(); d.told() != "" {
			t.Error("what the broker has is told again")
		}
	})
}

func TestAnAlertThatTheOwnerDoesNotWantIsNotRaised(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary(t, "[telemetry]\nbuiltin = [\"clock\"]\n", "2000-01-01T00:00:00Z")
		d.on()
		defer func() { d.Off() }()
		d.alerts.Raise("no-room", "critical", "full")
		d.alerts.Raise("clock", "warning", "not set")
		if got, want := d.told(), "clock raised"; got != want {
			t.Errorf("told %q, want %q", got, want)
		}
	})
}
