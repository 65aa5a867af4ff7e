package intake_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/ratchetd/ratchet/agent/intake/intaketest"
	"github.com/ratchetd/ratchet/executor"
)

// What a recurring job begins has its id and a time: no schedule and no alert of
// the configuration may have the same.
func TestARecurringJobThatCannotBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := intaketest.New(t, "[[schedule]]\nname = \"s\"\njob = \"job.json\"\ncron = \"@daily\"\n[[alert]]\nname = \"hot\"\nwhen = \"true\"\n", "2026-11-23T22:00:00Z")
		d.On()
		defer d.Off()
		for _, c := range []struct{ id, schedule, want string }{
			{"p", "0 0 3 * * *", "schedule: \"0 0 3 * * *\": want five fields"},
			{"p", "@every 0s", "whole seconds"},
			{strings.Repeat("x", 48), "@daily", "at most 47 characters"},
			{"s", "@daily", "has a schedule of this name"},
			{"hot", "@daily", "has an alert of this name"},
		} {
			err := d.Intake.Able(executor.Job{ID: c.id, Schedule: c.schedule}, "")
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, %s: got %v, want it to say %s", c.id, c.schedule, err, c.want)
			}
		}
	})
}
