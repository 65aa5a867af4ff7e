package intake

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

// Origins of jobs that the device begins by itself: because its configuration
// says so, or a recurring job does. No service offers them, so none takes them back.
var (
	ByConfig = json.RawMessage(`{"from":"device"}`)
	ByJob    = json.RawMessage(`{"from":"job"}`)
)

// A Firing is a job that the device begins by itself.
type Firing struct {
	ID     string
	Text   []byte
	By     string // the key that signed it
	Signed executor.Time
	Origin json.RawMessage
	Alert  json.RawMessage // that it repairs
}

// Fire begins the job. It is an offer as others are, so it is accepted once,
// however often that is tried.
func (i *Intake) Fire(f Firing) error {
	if _, known, err := i.DB.Known(f.ID); known || err != nil {
		return err
	}
	job, err := executor.Parse(f.Text)
	if err != nil {
		return err
	}
	job.ID = f.ID
	if err := i.Able(job, f.By); err != nil {
		return err
	}
	r := executor.NewRecord(job, f.Text, i.Clock.Stamp())
	r.By, r.Signed, r.Origin, r.Alert = f.By, f.Signed, f.Origin, f.Alert
	return i.accept(r, false)
}

// Unfinished lists the jobs begun under that name that are not over.
func (i *Intake) Unfinished(name string) ([]executor.Record, error) {
	records, err := i.DB.Unfinished()
	return slices.DeleteFunc(records, func(r executor.Record) bool {
		as, ok := clock.FiredAs(r.ID)
		return !ok || as != name
	}), err
}

// named reports whether the device's own configuration named the job: that lies
// where only its owner can write, so it needs no signature.
func named(r executor.Record) bool { return dialect.From(r) == "device" }

// Recurs reports whether the job only begins others.
func Recurs(r executor.Record) bool {
	_, fired := clock.FiredAs(r.ID)
	return r.Job.Schedule != "" && !fired
}

// mayRecur checks a recurring job against what this device can do.
func (j *Judge) mayRecur(job executor.Job) error {
	if job.Schedule == "" {
		return nil
	}
	if _, err := clock.ParseTimetable(job.Schedule, ""); err != nil {
		return fmt.Errorf("schedule: %w", err)
	}
	name, fired := clock.FiredAs(job.ID)
	switch {
	case fired:
		return nil
	case !clock.FiringName.MatchString(name):
		return errors.New("id: of a recurring job want at most 47 characters: what it begins has the time behind it")
	case slices.ContainsFunc(j.Config.Load().Schedules, func(s config.Schedule) bool { return s.Name == name }):
		return errors.New("id: the device's own configuration has a schedule of this name")
	case slices.ContainsFunc(j.Config.Load().Alerts, func(r config.Alert) bool { return r.Name == name }):
		return errors.New("id: the device's own configuration has an alert of this name, whose repairs have such ids: choose another")
	}
	return nil
}
