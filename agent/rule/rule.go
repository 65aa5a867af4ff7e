// Package rule judges samples of the board by rules in jq that may look back: an
// alert rises and ends by what a Rule says. It raises nothing itself.
package rule

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/ratchetd/ratchet/executor/jq"
	"github.com/ratchetd/ratchet/telemetry"
)

// An alert that was raised so often within an hour flaps: then it ends only when
// all was well for longer.
const (
	flapsAfter = 3
	flapsIn    = time.Hour
	flapsCalm  = 15 * time.Minute
)

// A Spec is a rule as its owner writes it. Name, When and the others are as in
// the [[alert]] of a configuration.
type Spec struct {
	Name     string
	When     string
	For      time.Duration // when must hold for so long
	Clear    string        // empty: not when
	Value    string        // what the alert tells
	Severity string
	Run      string // the file of a job that is to repair it
}

// An Input is what rules see: one sample, and how the agent itself is.
type Input struct {
	telemetry.Sample
	Clock ClockInput `json:"clock"`
	Link  LinkInput  `json:"link"`
}

// ClockInput is how the clock is.
type ClockInput struct {
	Sane bool `json:"sane"`
}

// LinkInput is how the link to the broker is.
type LinkInput struct {
	Connected bool  `json:"connected"`
	For       int64 `json:"for"`   // seconds, connected or not
	Drops     int   `json:"drops"` // connections lost within 15 minutes
}

// A Rule judges one sample after another. It is made from the configuration.
type Rule struct {
	Spec
	when, clear, value *jq.Expr
	history            history
	precheck           func(Input) bool // what must be so for when to hold; nil: it is asked
	since              time.Time        // when began to hold; zero: it does not
	calm               time.Time        // likewise the condition to clear
	raisedAt           []time.Time      // within flapsIn
}

// Quiet reports whether the rule has nothing to say of a sample, so that jq need
// not be asked, as long as its alert is not raised.
func (r *Rule) Quiet(in Input) bool {
	return r.precheck != nil && r.since.IsZero() && !r.precheck(in)
}

// A Change is what a judgement means for an alert.
type Change int

// What a judgement may mean.
const (
	Unchanged Change = iota
	Raised
	Cleared
)

// New compiles the expressions of s. wrong, where it is not nil, says where
// the key stands whose expression is wrong.
func New(s Spec, wrong func(key string, err error) error) (*Rule, error) {
	r := &Rule{Spec: s}
	if slices.Contains(Builtin, s) {
		r.precheck = prechecks[s.Name]
	}
	f := r.history.functions()
	var errs []error
	compile := func(key, src string) *jq.Expr {
		if src == "" {
			return nil
		}
		e, err := jq.Compile(src, f...)
		if err != nil && wrong != nil {
			err = wrong(key, err)
		}
		errs = append(errs, err)
		return e
	}
	r.when, r.clear, r.value = compile("when", s.When), compile("clear", s.Clear), compile("value", s.Value)
	return r, errors.Join(errs...)
}

// Judge takes a sample, and tells what becomes of the alert, which is raised
// already or not. What cannot be judged changes nothing.
func (r *Rule) Judge(ctx context.Context, now time.Time, sample any, is bool) (Change, error) {
	r.history.add(ctx, now, sample)
	when, err := r.when.Bool(ctx, sample)
	well := !when
	if err == nil && r.clear != nil {
		well, err = r.clear.Bool(ctx, sample)
	}
	if err != nil {
		r.since, r.calm = time.Time{}, time.Time{}
		return Unchanged, err
	}
	r.since, r.calm = since(r.since, now, when), since(r.calm, now, well && !when)
	r.raisedAt = slices.DeleteFunc(r.raisedAt, func(at time.Time) bool { return now.Sub(at) > flapsIn })
	switch {
	case !is && when && now.Sub(r.since) >= r.For:
		r.raisedAt = append(r.raisedAt, now)
		return Raised, nil
	case is && !r.calm.IsZero() && now.Sub(r.calm) >= r.patience():
		return Cleared, nil
	}
	return Unchanged, nil
}

// patience is for how long all must be well before the alert ends.
func (r *Rule) patience() time.Duration {
	if len(r.raisedAt) >= flapsAfter {
		return flapsCalm
	}
	return 0
}

// since is the moment from which on something held without a break.
func since(was, now time.Time, holds bool) time.Time {
	switch {
	case !holds:
		return time.Time{}
	case was.IsZero():
		return now
	}
	return was
}

// Told is what the alert says of the sample; nothing, if that cannot be had.
func (r *Rule) Told(ctx context.Context, sample any) json.RawMessage {
	if r.value == nil {
		return nil
	}
	v, err := r.value.Eval(ctx, sample)
	if err != nil || v == nil {
		return nil
	}
	text, err := json.Marshal(v)
	if err != nil || len(text) > maxAlertValue {
		return nil
	}
	return text
}

const maxAlertValue = 1 << 10

// Level is the severity of the alert: warning unless its owner says otherwise.
func (r *Rule) Level() string { return cmp.Or(r.Severity, "warning") }
