package agent

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/jq"
	"github.com/ratchetd/ratchet/executor/step/check"
	"github.com/ratchetd/ratchet/store"
)

// errNotForUs is a job that this device has no part in, and says nothing of.
var errNotForUs = errors.New("not for this device")

// Why an offer becomes no job, though nothing is wrong with it.
var (
	errNoRoom = errors.New("no room")
	errLost   = errors.New("journal lost")
)

// offer accepts a job, refuses it with a precise reason, or takes it for none
// of this device's business. It returns the refusal. One that came over the
// link waits for quiet, since its cancel may be behind it.
func (a *Agent) offer(ctx context.Context, o dialect.Offer, fromLink bool) error {
	refused := executor.Record{Key: keyOf(o), ID: o.ID, Digest: executor.Digest(o.Text), Origin: o.Origin, State: executor.Rejected}
	known, used, err := a.db.Known(refused.Key)
	switch {
	case err != nil:
		a.refuse(refused, fmt.Errorf("the journal cannot be read: %w", err))
		return err
	case used && (o.Key != "" || o.Err == nil && (known == refused.Digest || known == "")):
		if o.Key != "" && o.Err == nil && a.queue.has(o.Key) {
			a.renewals.came(o.Key, a.anew(o, known))
			a.queue.poke()
		}
		return nil // once is enough
	case used:
		return a.reused(o.ID, o.Err)
	}
	r, err := a.judgeOnce(ctx, o)
	if err == nil {
		err = a.accept(r, fromLink)
	}
	a.refused(refused, err)
	return err
}

// keyOf is the key of the Record that an offer becomes.
func keyOf(o dialect.Offer) string { return cmp.Or(o.Key, o.ID) }

// refused tells why an offer became no job, if whoever made it is to hear of it.
func (a *Agent) refused(r executor.Record, why error) {
	switch {
	case why == nil, errors.Is(why, errReused):
		return
	case errors.Is(why, errNotForUs) && a.quiet():
		return
	case errors.Is(why, errLost), errors.Is(why, errNoRoom) && !a.quiet():
		// Nothing is wrong with the job. A cloud would not offer it again after a
		// rejection; a broker does, and a job has one final state only.
		r.State = executor.Failed
	}
	a.refuse(r, why)
}

// quiet reports whether nobody is to hear of offers that are not for this device.
func (a *Agent) quiet() bool {
	how := a.dialect().Connection()
	return how.Quiet || !how.Receipts
}

var errReused = errors.New("was used by another document: choose a new id")

// reused tells of another document under a used id, by the alert only: the
// retained status is that of the job that has the id.
func (a *Agent) reused(id string, why error) error {
	a.alerts.raise("id-reused", "warning", "another document came under the used id "+id+reasonOf(why))
	return fmt.Errorf("id: %q %w", id, errReused)
}

// cleared takes back the refusal of an offer that is gone.
func (a *Agent) cleared(id string) {
	if _, used, err := a.db.Known(id); err == nil && !used {
		a.told.say(word{id: id, messages: a.dialect().Tell(dialect.Forgotten{ID: id})})
	}
}

func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	return " (" + err.Error() + ")"
}

// judge turns an offer into the first Record of its job.
func (a *Agent) judge(ctx context.Context, o dialect.Offer) (executor.Record, error) {
	switch {
	case o.Begun:
		return executor.Record{}, errLost
	case o.Err != nil:
		return executor.Record{}, o.Err
	}
	by, signed, err := a.verify(o.Text, o.Signature)
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
	if err := a.doneBefore(o, by, signed); err != nil {
		return executor.Record{}, err
	}
	if job.Schedule != "" && o.Key != "" {
		return executor.Record{}, errors.New("schedule: this service hands out one job after another, and a recurring one would hold the others up: let the device's own configuration have it, as [[schedule]]")
	}
	if job.ID != o.ID {
		return executor.Record{}, fmt.Errorf("id: is %q, but it was offered as %q", job.ID, o.ID)
	}
	if err := a.meant(ctx, job, o); err != nil {
		return executor.Record{}, err
	}
	if err := a.able(job, by); err != nil {
		return executor.Record{}, err
	}
	r := executor.NewRecord(job, o.Text, a.clock.Stamp())
	r.Key, r.Origin, r.By, r.Signed = keyOf(o), o.Origin, by, clock.TimeOf(signed)
	return r, nil
}

// meant reports whether the job is for this device, now.
func (a *Agent) meant(ctx context.Context, job executor.Job, o dialect.Offer) error {
	c := a.config.Load()
	if late := a.expired(job); late != nil {
		if o.Scope == "group" || o.Scope == "all" {
			return errNotForUs // it was over before this device heard of it
		}
		return late
	}
	if !dialect.Addressed(job.Audience, c.Device, c.Groups) {
		return fmt.Errorf("audience: this device, %s, is not among those the author meant", c.Device)
	}
	for _, percent := range []*float64{ceiling(job), o.Percent} {
		if percent != nil && !dialect.InRollout(job.ID, c.Device, *percent) {
			return errNotForUs
		}
	}
	if job.Target == "" {
		return nil
	}
	yes, err := a.matches(ctx, job.Target)
	if err != nil {
		return fmt.Errorf("target: %w", err)
	}
	if !yes {
		return errNotForUs
	}
	return nil
}

func ceiling(job executor.Job) *float64 {
	if job.Rollout == nil {
		return nil
	}
	return &job.Rollout.Percent
}

func (a *Agent) matches(ctx context.Context, target string) (bool, error) {
	e, err := jq.Compile(target)
	if err != nil {
		return false, err
	}
	if wantsRestless(target) {
		a.link.restless.Store(true)
	}
	input, err := jq.Input(json.RawMessage(a.facts()))
	if err != nil {
		return false, err
	}
	return e.Bool(ctx, input)
}

// expired says so when the job may no longer begin.
func (a *Agent) expired(job executor.Job) error {
	if job.Expires.IsZero() || a.clock.Now().Before(job.Expires.Time) {
		return nil
	}
	return fmt.Errorf("expires: it was to begin before %s", job.Expires.Format("2006-01-02T15:04:05Z"))
}

// able reports whether this device can and may run every step.
func (a *Agent) able(job executor.Job, by string) error {
	if err := a.mayRecur(job); err != nil {
		return err
	}
	if most := a.config.Load().Policy.MaxTime; most > 0 && time.Duration(job.Timeout) > time.Duration(most) {
		return fmt.Errorf("timeout: policy.maxTime allows %s", time.Duration(most))
	}
	if err := errors.Join(clock.CheckWindow(job.Window), maySetKeys(job, by)); err != nil {
		return err
	}
	if err := a.kinds().Check(job); err != nil {
		return err
	}
	for i := range job.Total() {
		if err := a.permitted(job.StepAt(i)); err != nil {
			return fmt.Errorf("step %s: %w", job.StepAt(i).Name, err)
		}
	}
	return nil
}

// permitted holds a step against policy.allow, and its checks against the rules.
func (a *Agent) permitted(s executor.Step) error {
	allow := a.config.Load().Policy.Allow
	if !slices.Contains(allow, "*") && !slices.Contains(allow, s.Kind) {
		return fmt.Errorf("%s: policy.allow does not allow this kind", s.Kind)
	}
	checks := map[string]json.RawMessage{"check": s.Check}
	if s.Confirm != nil {
		checks["confirm.check"] = s.Confirm.Check
	}
	for field, c := range checks {
		if c == nil {
			continue
		}
		if err := check.Permit(a.policy(), c); err != nil {
			return fmt.Errorf("%s: %w", field, err)
		}
	}
	return nil
}

// accept writes the first Record. After that the job is this device's.
func (a *Agent) accept(r executor.Record, fromLink bool) error {
	signed := r.Signed
	r.Signed = clock.TimeOf(a.clock.Plausible(signed.Time))
	verdict, err := a.journal.Accept(r)
	switch {
	case err != nil:
		a.alerts.raise("no-room", "critical", "a job could not be stored: "+err.Error())
		return fmt.Errorf("%w: %w", errNoRoom, err)
	case verdict == store.NoRoom:
		a.alerts.raise("no-room", "warning", "the journal is full: jobs are refused until finished ones are pruned")
		a.makeRoom()
		return fmt.Errorf("%w: the journal is full", errNoRoom)
	case verdict == store.Reused && r.Key != r.ID:
		return nil
	case verdict == store.Reused: // two offers came at once, by the link and the socket
		return a.reused(r.ID, nil)
	case verdict == store.Known:
		return nil
	}
	a.log.Debug("accepted", "job", r.ID)
	a.clock.Raise(signed.Time) // once for each job: what is refused may come as often as a broker likes
	if r.Key != r.ID {
		a.renewals.came(r.Key, nil)
	}
	a.alerts.clear("no-room")
	a.told.unrefuse(r.Key)
	if recurs(r) {
		a.schedules.poke()
	} else {
		a.queue.add(r, fromLink)
	}
	a.told.wake()
	return nil
}

// makeRoom fetches all offers anew, at most once an hour: an id can only be
// forgotten when a full subscribe did not bring its offer any more.
func (a *Agent) makeRoom() {
	if last := a.fetchedForRoom.Load(); last == nil || time.Since(*last) > time.Hour {
		now := time.Now()
		a.fetchedForRoom.Store(&now)
		a.link.restart()
	}
}

// refuse tells a refusal from RAM: it costs no flash, and the offer, which is
// retained, is judged again after a restart.
func (a *Agent) refuse(r executor.Record, why error) {
	a.log.Debug("refused", "job", r.ID, "err", why)
	r.Reason = why.Error()
	if a.dialect().Connection().Receipts {
		a.told.refuse(r)
		return
	}
	a.told.say(word{id: r.ID, messages: a.dialect().Status(dialect.Report{Record: r})})
}

// cancel ends a job wherever it is, or remembers that it is not to begin. Where
// the journal cannot be written it works from RAM, and is journaled when it can.
func (a *Agent) cancel(c dialect.Cancel) error {
	key := a.keyOf(c.ID)
	if c.Service {
		a.end(key, "", time.Time{})
		return nil
	}
	signed, err := a.verifyCancel(c)
	if err != nil {
		return err
	}
	if r, known, err := a.db.Record(key); err == nil && known && !r.State.Final() && executor.Outlives(r.Signed.Time, signed) {
		return fmt.Errorf("signature: the cancel is older than the job (it was signed at %s, the job at %s), so it is for an earlier one of this id: sign a new one",
			signed.UTC().Format(time.RFC3339), r.Signed.Format(time.RFC3339))
	}
	a.end(key, "", signed)
	return nil
}

// end cancels the job with this key. signed is when the owner signed that, zero
// where nobody had to.
func (a *Agent) end(key, reason string, signed time.Time) {
	if err := a.journal.Cancel(key, signed); err != nil {
		a.log.Error("a cancel is not in the journal yet", "job", key, "err", err)
		a.running.remember(key, signed)
	}
	a.running.cancel(key, executor.Cancel{Reason: reason})
	a.queue.poke()
	a.schedules.poke()
}

// keyOf finds the Record that is meant by an id: the newest, where a service
// gave the same job more than once.
func (a *Agent) keyOf(id string) string {
	if _, known, err := a.db.Known(id); known || err != nil {
		return id
	}
	records, err := a.db.Records()
	for _, r := range slices.Backward(records) {
		if err == nil && r.ID == id {
			return r.Key
		}
	}
	return id
}
