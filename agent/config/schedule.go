package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/rule"
	"github.com/ratchetd/ratchet/executor"
)

// Schedule is a job that the device begins by itself, again and again.
type Schedule struct {
	Name    string   `toml:"name"`
	Cron    string   `toml:"cron"`              // five fields, @daily and the like, @every 90m or @reboot
	TZ      string   `toml:"tz,omitempty"`      // unless it is set: the device's
	Jitter  Duration `toml:"jitter,omitzero"`   // begins up to so much later, the same on this device every time
	CatchUp bool     `toml:"catchUp,omitempty"` // what was missed while the device was off is done once
	Overlap string   `toml:"overlap,omitempty"` // while the one before still runs: skip, which is also the default, or queue
	Job     string   `toml:"job"`               // a file
	At      place    `toml:"-"`
}

// Alert is a rule over how the board feels.
type Alert struct {
	Name     string   `toml:"name"`
	When     string   `toml:"when"`
	For      Duration `toml:"for,omitzero"`    // when must hold for so long
	Clear    string   `toml:"clear,omitempty"` // unless it is set: not when
	Value    string   `toml:"value,omitempty"` // what the alert tells
	Severity string   `toml:"severity,omitempty"`
	Run      string   `toml:"run,omitempty"` // the file of a job that is to repair it
	At       place    `toml:"-"`
}

// spec is the rule without where it stands.
func (a Alert) spec() rule.Spec {
	return rule.Spec{Name: a.Name, When: a.When, For: time.Duration(a.For), Clear: a.Clear, Value: a.Value, Severity: a.Severity, Run: a.Run}
}

// Rules are those of the owner, and the built-in ones that are wanted.
func (c *Config) Rules() []rule.Spec {
	var all []rule.Spec
	for _, a := range c.Alerts {
		all = append(all, a.spec())
	}
	for _, r := range rule.Builtin {
		own := slices.ContainsFunc(c.Alerts, func(a Alert) bool { return a.Name == r.Name })
		if !own && c.Telemetry.Wants(r.Name) {
			all = append(all, r)
		}
	}
	return all
}

// Ways of Schedule.Overlap.
const (
	overlapSkip  = "skip"
	OverlapQueue = "queue"
)

// nameOnce checks the name of a schedule or an alert, which none of used may have.
func nameOnce(used map[string]bool, at place, key, name string) error {
	err := at.Wrong(key, clock.CheckName(name))
	if used[name] {
		err = errors.Join(err, at.Wrong(key, fmt.Errorf("%q stands there twice: schedules and alerts want a name each", name)))
	}
	used[name] = true
	return err
}

// severities are the values of Alert.Severity.
var severities = []string{"info", "warning", "critical"}

func (a Alert) validate() error {
	_, err := rule.New(a.spec(), func(key string, err error) error { return a.At.Wrong("alert."+key, err) })
	errs := []error{err}
	if slices.Contains(rule.Events, a.Name) {
		errs = append(errs, a.At.Wrong("alert.name", fmt.Errorf("%q is built in, and no rule over samples: choose another name", a.Name)))
	}
	if a.When == "" {
		errs = append(errs, a.At.Wrong("alert.when", errors.New(`want a condition such as ".cpu.celsius > 85"`)))
	}
	if a.Severity != "" && !slices.Contains(severities, a.Severity) {
		errs = append(errs, a.At.Wrong("alert.severity", fmt.Errorf("%q: want info, warning or critical%s", a.Severity, executor.DidYouMean(a.Severity, severities))))
	}
	return errors.Join(errs...)
}

func (s Schedule) validate() error {
	_, err := clock.ParseTimetable(s.Cron, s.TZ)
	errs := []error{s.At.Wrong("schedule.cron", err)}
	if o := cmp.Or(s.Overlap, overlapSkip); o != overlapSkip && o != OverlapQueue {
		errs = append(errs, s.At.Wrong("schedule.overlap", fmt.Errorf("%q: want skip or queue%s", s.Overlap, executor.DidYouMean(s.Overlap, []string{overlapSkip, OverlapQueue}))))
	}
	if s.Job == "" {
		errs = append(errs, s.At.Wrong("schedule.job", errors.New("want the file of the job")))
	}
	return errors.Join(errs...)
}
