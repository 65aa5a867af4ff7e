package clock

import (
	"fmt"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/executor"
)

// CheckWindow reports whether a window can be understood.
func CheckWindow(w *executor.Window) error {
	if w == nil {
		return nil
	}
	if len(strings.Fields(w.Cron)) != 5 || strings.Contains(w.Cron, "=") {
		return fmt.Errorf("window.cron: %q: want five fields, such as \"0 2 * * *\"; the time zone is tz", w.Cron)
	}
	_, err := opening(w)
	return err
}

// opening is when a window opens.
func opening(w *executor.Window) (Timetable, error) {
	t, err := ParseTimetable(w.Cron, w.TZ)
	if err != nil {
		return t, fmt.Errorf("window: %w", err)
	}
	return t, nil
}

// WindowClosed says so when the window is closed at that moment. It is open for its
// duration after each firing, so it is open now if it fired within that time.
func WindowClosed(w *executor.Window, now time.Time) string {
	t, err := opening(w)
	if err != nil {
		return err.Error()
	}
	if opened := t.Next(now.Add(-time.Duration(w.Duration))); !opened.IsZero() && !opened.After(now) {
		return ""
	}
	return "window: opens " + t.Next(now).In(t.zone).Format(time.RFC3339)
}
