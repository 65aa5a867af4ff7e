package clock

import (
	"strings"
	"testing"
	"time"
)

func dues(t *testing.T, spec, tz, from, to string) (list []time.Time, table Timetable) {
	t.Helper()
	if _, err := time.LoadLocation("Europe/Berlin"); err != nil {
		t.Skip("no zone files here")
	}
	table, err := ParseTimetable(spec, tz)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := instant(t, from), instant(t, to)
	for at := table.Next(begin); !at.IsZero() && !at.After(end); at = table.Next(at) {
		list = append(list, at)
	}
	return list, table
}

func instant(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// What is due in the hour that is left out comes at its end, what is due in the
// hour that comes twice comes once, and what names no hour follows time itself.
func TestDueTimesWhenTheClocksChange(t *testing.T) {
	for _, c := range []struct{ name, spec, tz, from, to, want string }{
		{"Berlin, spring, in the gap", "30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z", "2026-03-31T12:00:00Z",
			"28 01:30, 29 01:00, 30 00:30, 31 00:30"},
		{"Berlin, spring, beside the gap", "0 3 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z", "2026-03-30T12:00:00Z",
			"28 02:00, 29 01:00, 30 01:00"},
		{"Berlin, spring, several in the gap are one", "*/20 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z",
			"29 01:00"},
		{"Berlin, spring, every half hour", "*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T02:00:00Z",
			"29 00:30, 29 01:00, 29 01:30, 29 02:00"},
		{"Berlin, autumn, the hour that comes twice", "30 2 * * *", "Europe/Berlin", "2026-10-23T12:00:00Z", "2026-10-27T12:00:00Z",
			"24 00:30, 25 00:30, 26 01:30, 27 01:30"},
		{"Berlin, autumn, every half hour", "*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z",
			"25 00:30, 25 01:00, 25 01:30, 25 02:00"},
		{"New York, spring", "30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", "2026-03-10T12:00:00Z",
			"08 07:00, 09 06:30, 10 06:30"},
		{"New York, autumn", "30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", "2026-11-03T12:00:00Z",
			"01 05:30, 02 06:30, 03 06:30"},
		{"New York by its rules", "30 2 * * *", "EST5EDT,M3.2.0,M11.1.0", "2026-03-07T12:00:00Z", "2026-03-09T12:00:00Z",
			"08 07:00, 09 06:30"},
		{"Lord Howe, half an hour is left out", "15 2 * * *", "Australia/Lord_Howe", "2026-10-02T18:00:00Z", "2026-10-05T00:00:00Z",
			"03 15:30, 04 15:15"},
		{"midnight is left out in Beirut", "0 0 * * *", "Asia/Beirut", "2026-03-27T12:00:00Z", "2026-03-30T00:00:00Z",
			"27 22:00, 28 22:00, 29 21:00"},
		{"leap day", "0 12 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2033-01-01T00:00:00Z", "29 12:00, 29 12:00"},
		{"every hour and a half", "@every 90m", "", "2026-11-23T00:00:00Z", "2026-11-23T05:00:00Z",
			"23 01:30, 23 03:00, 23 04:30"},
		{"daily", "@daily", "UTC", "2026-11-23T00:00:00Z", "2026-11-25T00:00:00Z", "24 00:00, 25 00:00"},
		{"never but at a boot", "@reboot", "", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			list, table := dues(t, c.spec, c.tz, c.from, c.to)
			var got []string
			for _, at := range list {
				got = append(got, at.Format("02 15:04"))
			}
			if got := strings.Join(got, ", "); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			latest := table.Latest(instant(t, c.from), instant(t, c.to))
			if len(list) > 0 && !latest.Equal(list[len(list)-1]) || len(list) == 0 && !latest.IsZero() {
				t.Errorf("latest: got %s", latest)
			}
		})
	}
}

// However long a board was off, its last due time is found in a few steps.
func TestTheLatestDueTimeIsFound(t *testing.T) {
	for _, spec := range []string{"* * * * *", "*/7 * * * *", "0 3 * * 0", "0 0 1 1 *", "* * * 1 *", "0 12 29 2 *", "@every 7s", "30 2 * * *", "0 0 31 * 1"} {
		table, err := ParseTimetable(spec, "CET-1CEST,M3.5.0,M10.5.0/3")
		if err != nil {
			t.Fatal(err)
		}
		for _, span := range []string{"1s", "59s", "1h", "25h", "800h", "9000h", "70000h"} {
			d, err := time.ParseDuration(span)
			if err != nil {
				t.Fatal(err)
			}
			until := time.Date(2026, 11, 23, 22, 30, 17, 0, time.UTC)
			got := table.Latest(until.Add(-d), until)
			if got.IsZero() {
				if next := table.Next(until.Add(-d)); !next.IsZero() && !next.After(until) {
					t.Errorf("%s, %s: got none, want one", spec, span)
				}
				continue
			}
			if next := table.Next(got); !got.After(until.Add(-d)) || got.After(until) || !next.IsZero() && !next.After(until) {
				t.Errorf("%s, %s: got %s, next %s", spec, span, got, next)
			}
		}
	}
}

func TestWhatIsNoTimetable(t *testing.T) {
	for _, c := range []struct{ spec, tz, want string }{
		{"0 0 3 * * *", "", "want five fields"},
		{"61 * * * *", "", "61"},
		{"", "", "want five fields"},
		{"@every 5", "", "whole seconds"},
		{"@every 0s", "", "whole seconds"},
		{"@every 1500ms", "", "whole seconds"},
		{"@yesterday", "", "want five fields"},
		{"TZ=Europe/Berlin 0 3 * * *", "", "the time zone is tz"},
		{"0 3 * * *", "Europe/Nowhere", "no such time zone"},
		{"0 0 30 2 *", "", "no such day"},
	} {
		if _, err := ParseTimetable(c.spec, c.tz); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want it to say %s", c.spec, err, c.want)
		}
	}
}
