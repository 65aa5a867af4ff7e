package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/intake"
	"github.com/ratchetd/ratchet/agent/rule"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/jq"
	"github.com/ratchetd/ratchet/telemetry"
)

const (
	repairEvery = 15 * time.Minute // a repair at most, of one alert
	repairAgain = time.Minute      // after one could not begin
)

// Rules are the alerts of the present configuration. They are one loop's own:
// that which samples the board.
type Rules struct {
	Alerts *Alerts
	Intake *intake.Intake

	of   *config.Config // that they were made from
	list []*ruled
}

const oddAfter = 10 // judgements in a row that failed are told

// A ruled is one rule, and how far its repair is.
type ruled struct {
	*rule.Rule
	odd       int       // judgements in a row that failed
	repaired  string    // the repair that was begun last
	failed    time.Time // when one could not begin
	failedWhy string    // what the log has heard of that
}

// Judge checks a sample against every rule, and begins repairs.
func (l *Rules) Judge(ctx context.Context, s telemetry.Sample, link rule.LinkInput) {
	if c := l.Alerts.Config.Load(); c != l.of {
		l.remake(c)
	}
	if len(l.list) == 0 {
		return
	}
	f := rule.Input{Sample: s, Clock: rule.ClockInput{Sane: l.Alerts.Clock.Sane()}, Link: link}
	var sample any
	for _, r := range l.list {
		if l.idle(r, f) {
			continue
		}
		if sample == nil {
			var err error
			if sample, err = jq.Input(f); err != nil {
				l.Alerts.Log.Error("a sample cannot be judged", "err", err)
				return
			}
		}
		l.judge(ctx, r, sample)
	}
}

// idle reports whether a rule has nothing to say of a sample.
func (l *Rules) idle(r *ruled, f rule.Input) bool {
	if !r.Quiet(f) {
		return false
	}
	_, is := l.Alerts.raised(r.Name)
	return !is
}

// judge checks a sample against one rule.
func (l *Rules) judge(ctx context.Context, r *ruled, sample any) {
	alerts := l.Alerts
	now, is := alerts.raised(r.Name)
	what, err := r.Judge(ctx, time.Now(), sample, is)
	l.complain(r, err)
	switch what {
	case rule.Raised:
		now = noted{Alert: dialect.Alert{Name: r.Name, Severity: r.Level(), Rule: r.When, Value: r.Told(ctx, sample)}}
		if r.Run != "" {
			now.Repair = clock.FiringID(r.Name, l.Alerts.Clock.Now())
		}
		alerts.rise(now)
		now, is = alerts.raised(r.Name)
	case rule.Cleared:
		alerts.Clear(r.Name)
		is = false
	}
	if is && now.Repair != "" && now.Repair != r.repaired && r.Run != "" {
		l.tryRepair(r, now)
	}
}

// tryRepair begins the repair, and tries again a while later what could not
// begin: a full disk or a missing file may be just what is repaired meanwhile.
// Of each reason the log hears once.
func (l *Rules) tryRepair(r *ruled, n noted) {
	if !r.failed.IsZero() && time.Since(r.failed) < repairAgain {
		return
	}
	err := l.repair(r, n)
	if err == nil {
		r.failed, r.failedWhy = time.Time{}, ""
		return
	}
	if r.failed = time.Now(); r.failedWhy != err.Error() {
		r.failedWhy = err.Error()
		l.Alerts.Log.Warn("an alert's repair cannot begin; it is tried again", "name", r.Name, "err", err)
	}
}

// complain tells once of a rule of the owner's that cannot be judged for a
// while. Of the built-in ones that is known: not every board tells everything.
func (l *Rules) complain(r *ruled, err error) {
	switch {
	case err == nil:
		r.odd = 0
	case !errors.Is(err, rule.ErrTooYoung) && !rule.IsBuiltin(r.Name):
		if r.odd++; r.odd == oddAfter {
			l.Alerts.Log.Warn("an alert's rule cannot be judged", "name", r.Name, "err", err)
		}
	}
}

// repair begins the job that is to repair the alert, once for each time that it
// is raised. What is raised too soon after the last repair has its own a while
// later, if it is raised still.
func (l *Rules) repair(r *ruled, n noted) error {
	if _, known, err := l.Intake.DB.Known(n.Repair); err != nil {
		return err
	} else if known {
		r.repaired = n.Repair
		return nil
	}
	if recent, err := l.repairedAround(r.Name, l.Alerts.Clock.Now()); recent || err != nil {
		return err
	}
	text, err := config.ReadJobFile(r.Run)
	if err != nil {
		return err
	}
	alert, err := json.Marshal(n.Alert)
	if err != nil {
		return err
	}
	if err := l.Intake.Fire(intake.Firing{ID: n.Repair, Text: text, Origin: intake.ByConfig, Alert: alert}); err != nil {
		return fmt.Errorf("%s: %w", r.Run, err)
	}
	r.repaired = n.Repair
	return nil
}

// repairedAround reports whether a repair of that alert began less than repairEvery
// ago. One that began in the future did so while the clock was wrong.
func (l *Rules) repairedAround(name string, now time.Time) (bool, error) {
	records, err := l.Intake.DB.Records()
	return slices.ContainsFunc(records, func(r executor.Record) bool {
		as, at, fired := strings.Cut(r.ID, "@")
		when, err := time.Parse(clock.FiringTime, at)
		return fired && as == name && err == nil && now.Sub(when).Abs() < repairEvery
	}), err
}

// remake makes the rules of a configuration. One that stands as it stood keeps
// what it knows; an alert that has no rule any more is over.
func (l *Rules) remake(c *config.Config) {
	var list []*ruled
	for _, a := range c.Rules() {
		if i := slices.IndexFunc(l.list, func(r *ruled) bool { return r.Spec == a }); i >= 0 {
			list = append(list, l.list[i])
			continue
		}
		r, err := rule.New(a, nil)
		if err != nil { // the configuration was checked
			l.Alerts.Log.Error("an alert's rule cannot be read", "name", a.Name, "err", err)
			continue
		}
		list = append(list, &ruled{Rule: r})
	}
	l.of, l.list = c, list
	for _, a := range l.Alerts.List() {
		ruled := slices.ContainsFunc(list, func(r *ruled) bool { return r.Name == a.Name })
		if !ruled && !(slices.Contains(rule.Events, a.Name) && c.Telemetry.Wants(a.Name)) {
			l.Alerts.Clear(a.Name)
		}
	}
}
