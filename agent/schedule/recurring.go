package schedule

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/intake"
	"github.com/ratchetd/ratchet/executor"
)

// plan is all schedules that there are now, and drops the marks of others: not while
// something is left out of the configuration, which may be one of them.
func (s *Schedules) plan() ([]planned, error) {
	if s.marks == nil {
		s.marks = map[string]mark{}
		saved, err := s.DB.Get(marksName)
		if err == nil && saved != nil {
			err = json.Unmarshal(saved, &s.marks)
		}
		if err != nil {
			s.marks = nil
			return nil, err
		}
	}
	var plan []planned
	whole := s.Config.Load().LeftOut() == nil
	for _, c := range s.Config.Load().Schedules {
		t, err := clock.ParseTimetable(c.Cron, c.TZ)
		if err != nil { // the zone's file is gone, for the rest was checked
			s.Log.Error("a schedule cannot be read", "job", c.Name, "err", err)
			whole = false
			continue
		}
		plan = append(plan, planned{Schedule: c, Timetable: t, name: c.Name, Firing: intake.Firing{Origin: intake.ByConfig},
			text: func() ([]byte, error) { return config.ReadJobFile(c.Job) }})
	}
	plan, err := s.recurring(plan)
	if err == nil && whole {
		s.drop(plan)
	}
	return plan, err
}

// drop drops the marks of schedules that are gone: one that comes again begins again.
func (s *Schedules) drop(plan []planned) {
	had := len(s.marks)
	maps.DeleteFunc(s.marks, func(name string, _ mark) bool {
		return !slices.ContainsFunc(plan, func(p planned) bool { return p.name == name })
	})
	if len(s.marks) < had {
		s.save(s.soon)
	}
}

// recurring adds the recurring jobs.
func (s *Schedules) recurring(plan []planned) ([]planned, error) {
	records, err := s.DB.Unfinished()
	if err != nil {
		return nil, err // and no mark goes for a job that is only not seen
	}
	names := map[string]bool{}
	for _, p := range plan {
		names[p.name] = true
	}
	for _, r := range records {
		t, wrong := clock.ParseTimetable(r.Job.Schedule, "")
		if !intake.Recurs(r) || names[r.ID] || wrong != nil {
			continue
		}
		names[r.ID] = true
		plan = append(plan, planned{Schedule: config.Schedule{Cron: r.Job.Schedule}, Timetable: t, parent: &r,
			name: r.ID, Firing: intake.Firing{By: r.By, Signed: r.Signed, Origin: intake.ByJob},
			text: func() ([]byte, error) { return r.Text, nil },
			from: r.Job.NotBefore.Time, until: r.Job.Expires.Time})
	}
	return plan, nil
}

// ended tells how a recurring job ends now, if it does.
func (s *Schedules) ended(p planned, now time.Time) (executor.State, string) {
	switch err := s.Intake.Trusted(*p.parent); {
	case s.Intake.Cancelled(*p.parent):
		return executor.Cancelled, ""
	case err != nil:
		return executor.Rejected, err.Error()
	case !p.until.IsZero() && !now.Before(p.until):
		return executor.Succeeded, ""
	}
	return "", ""
}

// end makes a recurring job final. A cancel also ends what it began: that has
// an id of its own, which whoever cancels need not know.
func (s *Schedules) end(p planned, now time.Time, state executor.State, why string) coming {
	r := *p.parent
	r.State, r.Reason, r.Rev, r.Ended = state, why, r.Rev+1, clock.TimeOf(s.Clock.Stamp())
	if err := s.Journal.Put(r); err != nil {
		s.Log.Error("the end of a recurring job is not in the journal; it is tried again", "job", r.ID, "err", err)
		return coming{next: now.Add(fireAgain)}
	}
	s.Report.Done(r)
	if state != executor.Cancelled {
		return coming{over: true}
	}
	begun, err := s.Intake.Unfinished(r.ID)
	if err != nil {
		s.Log.Error("the journal cannot be read", "job", r.ID, "err", err)
	}
	for _, b := range begun {
		s.Intake.End(b.Key, "", time.Time{})
	}
	return coming{over: true}
}

// tell has a recurring job's status say when it is due.
func (s *Schedules) tell(p planned, c coming) {
	if p.parent == nil {
		return
	}
	why := c.why
	if !c.next.IsZero() {
		why = "next at " + c.next.UTC().Truncate(time.Second).Format(time.RFC3339)
	}
	s.Report.Waiting(p.parent.Key, "schedule: "+cmp.Or(why, "at the next boot"))
}

// Status is how one schedule is.
type Status struct {
	Name string
	Next time.Time // in the board's own time zone
	Why  string    // nothing is begun, or was not the last time
	Last string    // the job that was begun last
	Was  executor.State
}

// Status is how each schedule is, by name.
func (s *Schedules) Status() []Status {
	s.mu.Lock()
	known := maps.Clone(s.known)
	s.mu.Unlock()
	if len(known) == 0 {
		return nil
	}
	zone := clock.Zone()
	var list []Status
	records, _ := s.DB.Records() // of a journal that cannot be read the status tells elsewhere
	for _, name := range slices.Sorted(maps.Keys(known)) {
		c := known[name]
		one := Status{Name: name, Why: c.why}
		if !c.next.IsZero() {
			one.Next = c.next.In(zone).Truncate(time.Second)
		}
		for _, r := range records {
			if as, fired := clock.FiredAs(r.ID); fired && as == name {
				one.Last, one.Was = r.ID, r.State
			}
		}
		list = append(list, one)
	}
	return list
}
