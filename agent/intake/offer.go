package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/store"
)

// ErrNotForUs is a job that this device has no part in, and says nothing of.
var ErrNotForUs = errors.New("not for this device")

// Why an offer becomes no job, though nothing is wrong with it.
var (
	ErrNoRoom = errors.New("no room")
	errLost   = errors.New("journal lost")
)

// Offer accepts a job, refuses it with a precise reason, or takes it for none
// of this device's business. It returns the refusal. One that came over the
// link waits for quiet, since its cancel may be behind it. Where ctx ends before
// it is decided the error says so, and nobody is told: it is to be offered again.
func (i *Intake) Offer(ctx context.Context, o dialect.Offer, fromLink bool) error {
	i.deciding.Lock()
	defer i.deciding.Unlock()
	return i.offer(ctx, o, fromLink)
}

// offer is Offer for who holds deciding.
func (i *Intake) offer(ctx context.Context, o dialect.Offer, fromLink bool) error {
	refused := executor.Record{Key: keyOf(o), ID: o.ID, Digest: executor.Digest(o.Text), Origin: o.Origin, State: executor.Rejected}
	known, used, err := i.DB.Known(refused.Key)
	if was, open := i.unbegun(o); used && open {
		return i.offerAgain(ctx, o, fromLink, was, refused)
	}
	switch {
	case err != nil:
		err = fmt.Errorf("the journal cannot be read: %w", err)
		if i.quiet() { // a service would take a refusal for the job's end, and nothing is wrong with the job
			i.refuse(refused, err)
		}
		return err
	case used && (o.Key != "" || o.Err == nil && (known == refused.Digest || known == "")):
		if o.Key != "" && o.Err == nil && i.Desk.Has(o.Key) {
			i.renewals.came(o.Key, i.given(o, known))
			i.Desk.Poke()
		}
		return nil // once is enough
	case used:
		return i.reused(o.ID, o.Err)
	}
	r, err := i.judgeOnce(ctx, o)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("not decided yet: %w", context.Cause(ctx))
	}
	if err == nil {
		err = i.accept(r, fromLink)
	}
	i.refused(refused, err)
	return err
}

// keyOf is the key of the Record that an offer becomes.
func keyOf(o dialect.Offer) string { return cmp.Or(o.Key, o.ID) }

// refused tells why an offer became no job, if whoever made it is to hear of it.
func (i *Intake) refused(r executor.Record, why error) {
	switch {
	case why == nil, errors.Is(why, ErrReused):
		return
	case errors.Is(why, ErrNotForUs) && i.quiet():
		return
	case errors.Is(why, errLost), errors.Is(why, ErrNoRoom) && !i.quiet():
		// Nothing is wrong with the job. A cloud would not offer it again after a
		// rejection; a broker does, and a job has one final state only.
		r.State = executor.Failed
	}
	i.refuse(r, why)
}

// quiet reports whether nobody is to hear of offers that are not for this device.
func (i *Intake) quiet() bool {
	how := i.Config.Load().Dialect().Connection()
	return how.Quiet || !how.Service
}

// ErrReused is an offer under an id that another document has used.
var ErrReused = errors.New("was used by another document: choose a new id")

// reused tells of another document under a used id, by the alert only: the
// retained status is that of the job that has the id.
func (i *Intake) reused(id string, why error) error {
	i.Raise("id-reused", "warning", "another document came under the used id "+id+reasonOf(why))
	return fmt.Errorf("id: %q %w", id, ErrReused)
}

// Cleared takes back the refusal of an offer that is gone.
func (i *Intake) Cleared(id string) {
	if _, used, err := i.DB.Known(id); err == nil && !used {
		i.Report.Forget(id)
	}
}

func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	return " (" + err.Error() + ")"
}

// accept writes the first Record. After that the job is this device's.
func (i *Intake) accept(r executor.Record, fromLink bool) error {
	signed := r.Signed
	r.Signed = clock.TimeOf(i.Clock.Plausible(signed.Time))
	verdict, err := i.Journal.Accept(r)
	switch {
	case err != nil:
		i.Raise("no-room", "critical", "a job could not be stored: "+err.Error())
		return fmt.Errorf("%w: %w", ErrNoRoom, err)
	case verdict == store.NoRoom:
		i.Raise("no-room", "warning", "the journal is full: jobs are refused until finished ones are pruned")
		i.Desk.MakeRoom()
		return fmt.Errorf("%w: the journal is full", ErrNoRoom)
	case verdict == store.Reused && r.Key != r.ID:
		return nil
	case verdict == store.Reused: // two offers came at once, by the link and the socket
		return i.reused(r.ID, nil)
	case verdict == store.Known:
		return nil
	}
	i.Log.Debug("accepted", "job", r.ID)
	i.Clock.Raise(signed.Time) // once for each job: what is refused may come as often as a broker likes
	if r.Key != r.ID {
		i.renewals.came(r.Key, nil)
	}
	i.Clear("no-room")
	i.Report.Withdraw(r.Key)
	i.Desk.Take(r, fromLink)
	return nil
}

// refuse tells a refusal from RAM: it costs no flash, and the offer, which is
// retained, is judged again after a restart.
func (i *Intake) refuse(r executor.Record, why error) {
	i.Log.Debug("refused", "job", r.ID, "err", why)
	r.Reason = why.Error()
	i.Report.Refuse(r)
}

// Cancel ends a job wherever it is, or remembers that it is not to begin. Where
// the journal cannot be written it works from RAM, and is journaled when it can.
func (i *Intake) Cancel(c dialect.Cancel) error {
	key := i.KeyOf(c.ID)
	if c.Service {
		i.End(key, "", time.Time{})
		return nil
	}
	signed, err := i.verifyCancel(c)
	if err != nil {
		return err
	}
	if r, known, err := i.DB.Record(key); err == nil && known && !r.State.Final() && executor.Outlives(r.Signed.Time, signed) {
		return fmt.Errorf("signature: the cancel is older than the job (it was signed at %s, the job at %s), so it is for an earlier one of this id: sign a new one",
			signed.UTC().Format(time.RFC3339), r.Signed.Format(time.RFC3339))
	}
	i.End(key, "", signed)
	return nil
}

// TakeBack ends a job that its own service takes back. What never became a job is
// forgotten: the same id may come again.
func (i *Intake) TakeBack(id string) {
	i.deciding.Lock()
	defer i.deciding.Unlock()
	i.GiveUp(func(fetched string) bool { return fetched == id })
	key := i.KeyOf(id)
	if _, known, err := i.DB.Known(key); known || err != nil {
		i.End(key, "", time.Time{})
		return
	}
	i.Report.Withdraw(key)
	i.Cleared(id)
}

// End cancels the job with this key. signed is when the owner signed that, zero
// where nobody had to.
func (i *Intake) End(key, reason string, signed time.Time) {
	err := i.Journal.Cancel(key, signed)
	switch {
	case errors.Is(err, store.ErrManyCancels): // the broker has it, too
		i.Log.Debug("a cancel is kept in memory only", "job", key, "err", err)
	case err != nil:
		i.Log.Error("a cancel is not in the journal yet", "job", key, "err", err)
	}
	if err != nil {
		i.cancels.remember(key, signed)
	}
	i.Desk.End(key, reason)
}

// KeyOf finds the Record that is meant by an id: the newest, where a service
// gave the same job more than once.
func (i *Intake) KeyOf(id string) string {
	if _, known, err := i.DB.Known(id); known || err != nil {
		return id
	}
	records, err := i.DB.Records()
	for _, r := range slices.Backward(records) {
		if err == nil && r.ID == id {
			return r.Key
		}
	}
	return id
}

// Submit takes a job, bare or in an envelope, that came by no link. One that is known
// is not judged, nor begun again, whoever gives it.
func (i *Intake) Submit(ctx context.Context, text []byte) (id string, known bool, err error) {
	e, err := dialect.OpenEnvelope(text)
	if err != nil {
		return "", false, err
	}
	job, err := executor.Parse([]byte(e.Job))
	if err != nil {
		return "", false, err
	}
	o, ok := dialect.ReadOffer(job.ID, "device", text).(dialect.Offer)
	if !ok {
		return "", false, errors.New("the text is no job")
	}
	if _, known, err = i.DB.Known(job.ID); err != nil {
		return "", false, err
	}
	return job.ID, known, i.Offer(ctx, o, false)
}
