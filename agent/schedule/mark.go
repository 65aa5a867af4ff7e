package schedule

import (
	"encoding/json"
	"time"

	"github.com/ratchetd/ratchet/agent/clock"
)

const (
	setBack   = 3 * time.Hour // a clock that is set back by more was wrong before, for what names an hour
	marksName = "schedules"   // in the journal
)

// A mark is how far a schedule is: up to Due all is settled.
type mark struct {
	Due  int64  `json:"due"`            // unix seconds
	Boot string `json:"boot,omitempty"` // of @reboot
	Form string `json:"form,omitempty"` // of the timetable; empty: an earlier version wrote it
	Used int64  `json:"used,omitempty"` // up to then a clock that was ahead has used ids; unix seconds
}

// isOf reports whether the mark is of that timetable, and not of what the schedule was
// before its owner changed it.
func (m mark) isOf(t clock.Timetable) bool {
	return m.Form == t.Form() || m.Form == "" && (m.Boot != "") == t.Reboot
}

// ahead reports whether the mark is of a clock that was wrong, which is set back now.
// What names an hour of the day is not done twice for a clock that is set back a little.
// What names none goes on as soon as it is due again.
func (m mark) ahead(t clock.Timetable, now time.Time) bool {
	due := time.Unix(m.Due, 0)
	return due.Sub(now) > setBack || t.Hourless() && t.Next(now).Before(due)
}

// mark is that all up to a moment is settled, in that boot where it counts boots.
func (p planned) mark(at time.Time, boot string) mark {
	return mark{Due: at.Unix(), Boot: boot, Form: p.Form()}
}

func (s *Schedules) mark(name string, m mark, keep func(string, []byte) error) {
	s.marks[name] = m
	s.save(keep)
}

func (s *Schedules) save(keep func(string, []byte) error) {
	text, err := json.Marshal(s.marks)
	if err == nil {
		err = keep(marksName, text)
	}
	if err != nil {
		s.Log.Warn("how far the schedules are is not in the journal", "err", err)
	}
}

// soon keeps a value with the next commit.
func (s *Schedules) soon(name string, value []byte) error {
	s.DB.SetSoon(name, value)
	return nil
}
