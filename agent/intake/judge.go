package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/facts"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/check"
	"github.com/ratchetd/ratchet/store"
)

// A Judge decides whether a job may become one, may begin and may go on. It asks
// the same questions whenever it is asked: when a job is offered, and again when
// its first step is about to begin.
type Judge struct {
	Config *config.Current
	Clock  *clock.Clock
	Facts  *facts.Facts
	// Env is what a job's expressions see: facts, health and vars.
	Env func() map[string]any
	DB  *store.DB // nil: no job is known

	// Started is when the agent did: what a spread counts from where the clock did
	// not say when the job was accepted.
	Started time.Time
}

// Admit asks again, when the first step is about to begin, what may have changed
// since the job was accepted.
func (j *Judge) Admit(r executor.Record) error {
	if err := j.expired(r.Job); err != nil {
		return err
	}
	if err := j.Trusted(r); err != nil {
		return err
	}
	return j.Able(r.Job, r.By)
}

// Decide turns an offer into the first Record of its job.
func (j *Judge) Decide(ctx context.Context, o dialect.Offer) (executor.Record, error) {
	switch {
	case o.Begun:
		return executor.Record{}, errLost
	case o.Err != nil:
		return executor.Record{}, o.Err
	}
	by, signed, err := j.verify(o.Text, o.Signature)
	if err != nil {
		return executor.Record{}, err
	}
	job, err := executor.Parse(o.Text)
	if err != nil {
		return executor.Record{}, err
	}
	if err := bounded(job, by); err != nil {
		return executor.Record{}, err
	}
	if err := j.doneBefore(o, by, signed); err != nil {
		return executor.Record{}, err
	}
	if job.Schedule != "" && o.Key != "" {
		return executor.Record{}, errors.New("schedule: this service hands out one job after another, and a recurring one would hold the others up: let the device's own configuration have it, as [[schedule]]")
	}
	if job.ID != o.ID {
		return executor.Record{}, fmt.Errorf("id: is %q, but it was offered as %q", job.ID, o.ID)
	}
	if err := j.meant(ctx, job, o); err != nil {
		return executor.Record{}, err
	}
	if err := j.Able(job, by); err != nil {
		return executor.Record{}, err
	}
	r := executor.NewRecord(job, o.Text, j.Clock.Stamp())
	r.Key, r.Origin, r.By, r.Signed = keyOf(o), o.Origin, by, clock.TimeOf(signed)
	return r, nil
}

// meant reports whether the job is for this device, now.
func (j *Judge) meant(ctx context.Context, job executor.Job, o dialect.Offer) error {
	if late := j.expired(job); late != nil {
		if o.Scope == "group" || o.Scope == "all" {
			return ErrNotForUs // it was over before this device heard of it
		}
		return late
	}
	return j.among(ctx, job, o.Rollout)
}

// among reports whether this device is among those for whom the job is, whenever
// that is: ErrNotForUs where a rollout or its facts say otherwise.
func (j *Judge) among(ctx context.Context, job executor.Job, rollout *executor.Rollout) error {
	c := j.Config.Load()
	if !dialect.Addressed(job.Audience, c.Device, c.Groups) {
		return fmt.Errorf("audience: this device, %s, is not among those the author meant", c.Device)
	}
	if !j.takesPart(ctx, job.ID, job.Rollout) || !j.takesPart(ctx, job.ID, rollout) {
		return ErrNotForUs
	}
	if job.Target == "" {
		return nil
	}
	yes, err := j.Facts.Matches(ctx, job.Target)
	if err != nil {
		return fmt.Errorf("target: %w", err)
	}
	if !yes {
		return ErrNotForUs
	}
	return nil
}

// takesPart reports whether a rollout has reached this device. Where its jq fails
// on the facts it has not: a later wave may.
func (j *Judge) takesPart(ctx context.Context, id string, r *executor.Rollout) bool {
	if r == nil || dialect.InRollout(id, j.Config.Load().Device, r.Percent) {
		return true
	}
	if r.Where == "" {
		return false
	}
	yes, err := j.Facts.Matches(ctx, r.Where)
	return err == nil && yes
}

// expired says so when the job may no longer begin.
func (j *Judge) expired(job executor.Job) error {
	if job.Expires.IsZero() || j.Clock.Now().Before(job.Expires.Time) {
		return nil
	}
	return fmt.Errorf("expires: it was to begin before %s", job.Expires.Format("2006-01-02T15:04:05Z"))
}

// Able reports whether this device can and may run every step.
func (j *Judge) Able(job executor.Job, by string) error {
	if err := j.mayRecur(job); err != nil {
		return err
	}
	if most := j.Config.Load().Policy.MaxTime; most > 0 && time.Duration(job.Timeout) > time.Duration(most) {
		return fmt.Errorf("timeout: policy.maxTime allows %s", time.Duration(most))
	}
	if err := errors.Join(clock.CheckWindow(job.Window), maySetKeys(job, by)); err != nil {
		return err
	}
	if err := j.Facts.Kinds().Check(job); err != nil {
		return err
	}
	for i := range job.Total() {
		if err := j.permitted(job.StepAt(i)); err != nil {
			return fmt.Errorf("step %s: %w", job.StepAt(i).Name, err)
		}
	}
	return nil
}

// permitted checks a step against policy.allow, and its checks against the rules.
func (j *Judge) permitted(s executor.Step) error {
	allow := j.Config.Load().Policy.Allow
	if !slices.Contains(allow, "*") && !slices.Contains(allow, s.Kind) {
		return fmt.Errorf("%s: policy.allow does not allow this kind", s.Kind)
	}
	for _, name := range executor.SecretsIn(s.With) {
		if err := j.Config.Load().StepPolicy().Secret(name); err != nil {
			return err
		}
	}
	checks := map[string]json.RawMessage{"check": s.Check}
	if s.Confirm != nil {
		checks["confirm.check"] = s.Confirm.Check
	}
	for field, c := range checks {
		if c == nil {
			continue
		}
		if err := check.Permit(j.Config.Load().StepPolicy(), c); err != nil {
			return fmt.Errorf("%s: %w", field, err)
		}
	}
	return nil
}
