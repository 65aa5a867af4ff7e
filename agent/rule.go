package agent

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/ratchetd/ratchet/executor/jq"
)

// An alert that was raised so often within an hour flaps: then it ends only when
// all was well for longer.
const (
	flapsAfter = 3
	flapsIn    = time.Hour
	flapsCalm  = 15 * time.Minute
)

const oddAfter = 10 // judgements in a row that failed are told

// A rule judges one sample after another. It is made from the configuration.
type rule struct {
	Alert
	when, clear, value *jq.Expr
	history            history
	look               func(felt) bool // what must be so for when to hold; nil: it is asked
	since              time.Time       // when began to hold; zero: it does not
	calm               time.Time       // likewise the condition to clear
	raisedAt           []time.Time     // within flapsIn
	odd                int             // judgements in a row that failed
	repaired           string          // the repair that was begun last
	failed             time.Time       // when one could not begin
	failedWhy          string          // what the log has heard of that
}

// change is what a judgement means.
type change int

const (
	unchanged change = iota
	raised
	cleared
)

func newRule(a Alert) (*rule, error) {
	r := &rule{Alert: a}
	f := r.history.functions()
	var errs []error
	compile := func(key, src string) *jq.Expr {
		if src == "" {
			return nil
		}
		e, err := jq.Compile(src, f...)
		errs = append(errs, a.At.wrong("alert."+key, err))
		return e
	}
	r.when, r.clear, r.value = compile("when", a.When), compile("clear", a.Clear), compile("value", a.Value)
	return r, errors.Join(errs...)
}

// judge takes a sample, and tells what becomes of the alert, which is raised
// already or not. What cannot be judged changes nothing.
func (r *rule) judge(ctx context.Context, now time.Time, sample any, is bool) (change, error) {
	r.history.take(ctx, now, sample)
	when, err := r.when.Bool(ctx, sample)
	well := !when
	if err == nil && r.clear != nil {
		well, err = r.clear.Bool(ctx, sample)
	}
	if err != nil {
		r.since, r.calm = time.Time{}, time.Time{}
		return unchanged, err
	}
	r.since, r.calm = since(r.since, now, when), since(r.calm, now, well && !when)
	r.raisedAt = slices.DeleteFunc(r.raisedAt, func(at time.Time) bool { return now.Sub(at) > flapsIn })
	switch {
	case !is && when && now.Sub(r.since) >= time.Duration(r.For):
		r.raisedAt = append(r.raisedAt, now)
		return raised, nil
	case is && !r.calm.IsZero() && now.Sub(r.calm) >= r.patience():
		return cleared, nil
	}
	return unchanged, nil
}

// patience is for how long all must be well before the alert ends.
func (r *rule) patience() time.Duration {
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

// tells is what the alert says of the sample; nothing, if that cannot be had.
func (r *rule) tells(ctx context.Context, sample any) json.RawMessage {
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

func (r *rule) severity() string { return cmp.Or(r.Severity, "warning") }
