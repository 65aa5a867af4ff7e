package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

// Until a job's first step begins, the retained offer is the truth. A device that was
// away gets from the session that its broker kept what was queued first, and the
// offer that took its place only behind that.

// Offered reports whether the job is what a broker keeps on a topic.
func Offered(r executor.Record) bool { return len(r.Origin) > 0 && dialect.From(r) == "" }

// unbegun returns the job that lies where this offer does, if it has not begun and is
// not to end.
func (i *Intake) unbegun(o dialect.Offer) (executor.Record, bool) {
	r, known, err := i.DB.Record(keyOf(o))
	open := err == nil && known && r.State == executor.Queued && Offered(r) && bytes.Equal(r.Origin, o.Origin) && !i.Cancelled(r)
	return r, open
}

// offerAgain takes what is offered now in the place of a job that has not begun: the
// same document, which may not be meant for this device any more, or another one.
func (i *Intake) offerAgain(ctx context.Context, o dialect.Offer, fromLink bool, was, refused executor.Record) error {
	if was.Digest == refused.Digest {
		return i.confirmOffer(ctx, o, was, refused)
	}
	by, signed, err := i.verify(o.Text, o.Signature)
	if err = errors.Join(o.Err, err); err != nil {
		return i.reused(o.ID, err)
	}
	if by != "" && signed.Before(was.Signed.Time) {
		return i.reused(o.ID, errors.New("it was signed before the one that is here"))
	}
	r, err := i.judgeOnce(ctx, o)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("not decided yet: %w", context.Cause(ctx))
	}
	if err != nil {
		if !i.withdraw(was) {
			return i.reused(o.ID, err)
		}
		i.refused(refused, err)
		return err
	}
	r.Signed = clock.TimeOf(i.Clock.Plausible(signed))
	switch done, err := i.Journal.Replace(r); {
	case err != nil:
		i.Raise("no-room", "critical", "a job could not be stored: "+err.Error())
		return fmt.Errorf("%w: %w", ErrNoRoom, err)
	case !done: // it began just now
		return i.reused(o.ID, nil)
	}
	i.Log.Debug("accepted in the place of one that had not begun", "job", r.ID)
	i.Clock.Raise(signed)
	i.Report.Drop(r.Key)
	i.Desk.Take(r, fromLink)
	return nil
}

// confirmOffer looks at the document of a job that has not begun, which is offered
// again: its rollout may have become narrower, or the facts of this device others.
func (i *Intake) confirmOffer(ctx context.Context, o dialect.Offer, was, refused executor.Record) error {
	if i.expired(was.Job) != nil {
		return nil // it ends as that when its turn comes
	}
	err := i.among(ctx, was.Job, o.Rollout)
	if err == nil || ctx.Err() != nil || !i.withdraw(was) {
		return nil
	}
	i.refused(refused, err)
	return err
}

// left says why a job that could begin now is not to begin here any more, and withdraws
// it: the facts have changed while no broker could offer it again.
func (i *Intake) left(r executor.Record) string {
	if !Offered(r) {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), judgeFor)
	defer cancel()
	err := i.among(ctx, r.Job, nil)
	if err == nil || ctx.Err() != nil {
		return ""
	}
	i.withdraw(r)
	return "withdrawn: " + err.Error()
}

// withdraw forgets a job that has not begun, and clears its status. It reports
// whether it did: the job may have begun just now.
func (i *Intake) withdraw(r executor.Record) bool {
	done, err := i.Journal.Withdraw(r.Key)
	if err != nil {
		i.Log.Error("a job that is not meant for this device any more is not withdrawn yet", "job", r.ID, "err", err)
	}
	if !done {
		return false
	}
	i.Log.Debug("withdrawn", "job", r.ID)
	i.Report.Drop(r.Key)
	i.Report.Forget(r.ID)
	i.Desk.Poke()
	return true
}
