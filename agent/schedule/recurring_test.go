package schedule_test

import (
	"testing"
	"testing/synctest"
	"time"
)

// A recurring job waits for as long as it recurs; whoever cancels it ends what
// it has begun too.
func TestARecurringJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary(t, "", "2026-11-23T22:00:00Z")
		d.on()
		defer func() { d.off() }()
		d.submit(`{"id":"p","schedule":"0 3 * * *","steps":[{"name":"a","command":{"argv":["true"]}}]}`)
		if got, want := d.State("p"), "waiting schedule: next at 2026-11-24T03:00:00Z"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		d.live("run 24h, off 1m, busy, run 24h")
		if got, want := d.State("p"), "waiting schedule: next at 2026-11-26T03:00:00Z"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got, want := d.Entries(), "p 20261124T030000Z 24T0300, p 20261125T030000Z 25T0300"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		d.Intake.End("p", "", time.Time{})
		synctest.Wait()
		if got, want := d.State("p"), "cancelled"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if !d.DB.Cancelled("p@20261125T030000Z") {
			t.Error("what it began is not cancelled")
		}
		d.live("forget, free, run 48h")
		if got := d.Entries(); got != "" {
			t.Errorf("cancelled, and it began %s", got)
		}
	})
}
