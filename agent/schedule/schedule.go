// Package schedule begins jobs by itself: those of the configuration's schedules,
// what recurring jobs are due to begin, and what lies in the spool. Each is one more
// offer, and begins once: what is due has an id made of the time that it was due at,
// and what lies in the spool has its own.
package schedule

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/intake"
	"github.com/ratchetd/ratchet/agent/report"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/store"
)

const (
	onTime     = 5 * time.Minute // what is due for longer was missed
	fireAgain  = time.Minute     // after a job could not begin
	notSetYet  = "the clock is not set yet"
	stillGoing = "skipped: the one before still runs"
)

// Schedules are what the device begins by itself at certain times: those of its
// configuration, and recurring jobs. A job that is due is one more offer, under
// an id made of the time that it was due at; so it begins once, whatever is cut.
type Schedules struct {
	Config  *config.Current
	Clock   *clock.Clock
	Now     func() (at time.Time, sane bool) // nil: as the clock says
	DB      *store.DB
	Journal store.Journal
	Intake  *intake.Intake
	Report  *report.Reporter
	Boot    string // the id of this boot
	Started time.Time
	Log     *slog.Logger

	wake chan struct{}

	ahead time.Duration // how far the wall clock was moved since the start; Heed's own, as are:
	sane  bool
	zone  int // seconds that the board's time is ahead of UTC

	mu    sync.Mutex
	marks map[string]mark // by name; nil: not read yet
	known map[string]coming
}

// coming is what RAM knows of a schedule.
type coming struct {
	next time.Time
	why  string // it does not begin, or did not last time
	over bool   // a recurring job that has ended
}

// planned is one schedule as it stands.
type planned struct {
	config.Schedule
	clock.Timetable
	name          string
	intake.Firing // of the job that it begins, but for the time
	text          func() ([]byte, error)
	from, until   time.Time // zero: always
	parent        *executor.Record
}

// New are schedules of which none has begun.
func New() *Schedules {
	return &Schedules{wake: make(chan struct{}, 1), known: map[string]coming{}}
}

func (s *Schedules) now() (at time.Time, sane bool) {
	if s.Now != nil {
		return s.Now()
	}
	return s.Clock.Now(), s.Clock.Sane()
}

// Poke has everything looked at again: a schedule came or went, or the clock
// was set.
func (s *Schedules) Poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run begins what is due until ctx ends. Between two due times it sleeps.
func (s *Schedules) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-clock.After(s.look()):
		}
	}
}

// Heed has everything looked at again when the wall clock or the board's time zone was
// set, or the clock can be believed from now on. It is called now and then, by whoever is awake anyway.
func (s *Schedules) Heed() {
	now := time.Now()
	_, sane := s.now()
	ahead := now.Round(0).Sub(s.Started.Round(0)) - now.Sub(s.Started)
	_, zone := now.In(clock.Zone()).Zone()
	if (ahead-s.ahead).Abs() > time.Second || sane != s.sane || zone != s.zone {
		s.ahead, s.sane, s.zone = ahead, sane, zone
		s.Poke()
	}
}

// look begins what is due, and tells how long nothing else is; 0: nothing ever
// is, as things stand.
func (s *Schedules) look() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	plan, err := s.plan()
	if err != nil {
		s.Log.Error("schedules cannot be read from the journal", "err", err)
		return fireAgain
	}
	var soonest time.Time
	now, sane := s.now()
	known := map[string]coming{}
	for _, p := range plan {
		c := s.step(p, now, sane)
		if c.over {
			continue
		}
		known[p.name] = c
		if !c.next.IsZero() && (soonest.IsZero() || c.next.Before(soonest)) {
			soonest = c.next
		}
		s.tell(p, c)
	}
	s.known = known
	if soonest.IsZero() {
		return 0
	}
	return max(soonest.Sub(now), time.Millisecond)
}

// step brings one schedule up to now.
func (s *Schedules) step(p planned, now time.Time, sane bool) coming {
	if p.parent != nil {
		if state, why := s.ended(p, now); state != "" {
			return s.end(p, now, state, why)
		}
	}
	m, seen := s.marks[p.name]
	switch {
	case p.Reboot && m.Boot == s.Boot:
		return coming{}
	case p.Reboot && seen && !m.isOf(p.Timetable): // this boot came before the change
		s.mark(p.name, p.mark(now, s.Boot), s.DB.Set)
		return coming{}
	case p.Reboot:
		return s.atBoot(p, now)
	case !sane:
		return coming{why: notSetYet}
	case !seen, !m.isOf(p.Timetable), m.ahead(p.Timetable, now):
		used := m.Due
		m = p.mark(now, "")
		if used > m.Due {
			m.Used = used
		}
		s.mark(p.name, m, s.DB.Set)
	}
	last, why := time.Unix(m.Due, 0), s.known[p.name].why
	if last.Before(p.from) {
		last = p.from.Add(-time.Second)
	}
	delay := p.delay(s.Config.Load().Device)
	if due := p.Latest(last, now.Add(-delay)); !due.IsZero() {
		var err error
		if why, err = s.due(p, due, now.Sub(due.Add(delay))); err != nil {
			return s.later(p, now, err)
		}
		last = due
	}
	next := p.Next(last)
	if next.IsZero() {
		return coming{next: p.until, why: why}
	}
	next = next.Add(delay)
	if !p.until.IsZero() && p.until.Before(next) {
		next = p.until
	}
	return coming{next: next, why: why}
}

// delay is this device's part of the jitter.
func (p planned) delay(device string) time.Duration {
	return clock.Share(p.name+"\n"+device, time.Duration(p.Jitter)).Truncate(time.Second)
}

// due settles what was due so long ago, and tells why it does not begin. An
// error says that it is not settled.
func (s *Schedules) due(p planned, at time.Time, late time.Duration) (why string, err error) {
	m := p.mark(at, "")
	if used := s.marks[p.name].Used; used >= m.Due {
		m.Used = used
	}
	if late > onTime && !p.CatchUp {
		s.mark(p.name, m, s.soon)
		return "missed at " + at.Format(time.RFC3339), nil
	}
	before, err := s.Intake.Unfinished(p.name)
	if err != nil {
		return "", err
	}
	for _, r := range before {
		own := r.ID == clock.FiringID(p.name, at) && m.Used == 0
		if !own && (p.Overlap != config.OverlapQueue || r.State == executor.Queued) {
			s.mark(p.name, m, s.soon)
			return stillGoing, nil
		}
	}
	return "", s.fire(p, at, m)
}

// fire begins the job. The mark is in the commit that accepts it.
func (s *Schedules) fire(p planned, at time.Time, m mark) error {
	text, err := p.text()
	if err != nil {
		return err
	}
	was, had := s.marks[p.name]
	id, err := s.unused(p.name, at, was.Used)
	if err != nil {
		return err
	}
	s.mark(p.name, m, s.soon)
	f := p.Firing
	f.ID, f.Text = id, text
	if err := s.Intake.Fire(f); err != nil {
		if delete(s.marks, p.name); had {
			s.marks[p.name] = was
		}
		s.save(s.soon)
		return fmt.Errorf("%s: %w", cmp.Or(p.Job, "the job"), err)
	}
	return nil
}

// unused is the id of the job that is due then. Where a clock that was ahead has used it,
// it is that of a moment later.
func (s *Schedules) unused(name string, at time.Time, until int64) (string, error) {
	for ; at.Unix() <= until; at = at.Add(time.Second) {
		if _, used, err := s.DB.Known(clock.FiringID(name, at)); err != nil || !used {
			return clock.FiringID(name, at), err
		}
	}
	return clock.FiringID(name, at), nil
}

// atBoot begins what is due once in every boot; a clock that is not set is no
// reason to wait, and one that stands still none to leave it out.
func (s *Schedules) atBoot(p planned, now time.Time) coming {
	now = now.Truncate(time.Second)
	for {
		_, used, err := s.DB.Known(clock.FiringID(p.name, now))
		if err == nil && used {
			now = now.Add(time.Second)
			continue
		}
		if err == nil {
			err = s.fire(p, now, p.mark(now, s.Boot))
		}
		if err != nil {
			return s.later(p, now, err)
		}
		return coming{}
	}
}

// later is for what could not begin; of each reason the log hears once.
func (s *Schedules) later(p planned, now time.Time, err error) coming {
	why := err.Error()
	if s.known[p.name].why != why {
		s.Log.Warn("a scheduled job cannot begin; it is tried again", "job", p.name, "err", err)
	}
	return coming{next: now.Add(fireAgain), why: why}
}
