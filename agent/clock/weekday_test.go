package clock

import (
	"strings"
	"testing"
	"time"
)

// Sunday is 0 and 7, as in crontab, wherever a day may stand.
func TestSundayIsSevenToo(t *testing.T) {
	for spec, want := range map[string]string{
		"0 3 * * 7":       "Sun",
		"0 3 * * 0":       "Sun",
		"0 3 * * SUN":     "Sun",
		"0 3 * * 7,3":     "Wed Sun",
		"0 3 * * 5-7":     "Fri Sat Sun",
		"0 3 * * fri-sun": "Fri Sat Sun",
		"0 3 * * 1-7":     "Mon Tue Wed Thu Fri Sat Sun",
		"0 3 * * 0-7":     "Mon Tue Wed Thu Fri Sat Sun",
		"0 3 * * 1-7/3":   "Mon Thu Sun",
		"0 3 * * 1-5":     "Mon Tue Wed Thu Fri",
		"0 3 * * *":       "Mon Tue Wed Thu Fri Sat Sun",
		"0 3 * * 7-7":     "Sun",
		"0 3 * * 0-0":     "Sun",
		"0 3 * * sun-sun": "Sun",
		"0 3 * * 0-0,3":   "Wed Sun",
		"0 3 * * sat-sun": "Sat Sun",
	} {
		table, err := ParseTimetable(spec, "UTC")
		if err != nil {
			t.Errorf("%s: %v", spec, err)
			continue
		}
		var days []string
		at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) // a Sunday
		for end := at.AddDate(0, 0, 7); ; {
			if at = table.Next(at); at.After(end) {
				break
			}
			days = append(days, at.Format("Mon"))
		}
		if got := strings.Join(days, " "); got != want {
			t.Errorf("%s: got %s, want %s", spec, got, want)
		}
	}
	for _, spec := range []string{"0 3 * * 8", "0 3 * * 1-8", "0 3 * * 7-1", "0 3 * * 1-7/0", "0 3 * * -7", "0 3 * * 7x"} {
		if _, err := ParseTimetable(spec, "UTC"); err == nil || !strings.Contains(err.Error(), spec) {
			t.Errorf("%s: got %v, want an error that quotes it", spec, err)
		}
	}
}
