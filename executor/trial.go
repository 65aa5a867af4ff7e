package executor

import (
	"context"
	"fmt"
	"time"
)

// ownTrial is the time of a trial that a kind asks for.
const ownTrial = 3 * time.Minute

// confirm is what the change of the step under the cursor must withstand, or
// nil: what the step says, or else its kind.
func (w *walk) confirm() *Confirm {
	if c := w.step().Confirm; c != nil {
		return c
	}
	if w.kindsTrial() != nil {
		return &Confirm{Within: Duration(ownTrial)}
	}
	return nil
}

// kindsTrial is the trial that the kind asks for, or nil.
func (w *walk) kindsTrial() *Trial {
	if k, ok := w.Kinds[w.step().Kind].(Trialist); ok {
		return k.Trial(w.step().With)
	}
	return nil
}

// trial holds the change of the step under the cursor on trial: within its time
// the agent must be connected anew, the check must pass and the kind must see
// its proof. That it is on trial is on disk first, so a power cut begins the
// trial again, not the change.
func (w *walk) trial(ctx context.Context, t *Task, c *Confirm) error {
	r, rec := w.r.clone()
	if !rec.Trial {
		rec.Trial = true
		w.change(r)
		if err := w.commit(); err != nil {
			return err
		}
	}
	within := time.Duration(c.Within)
	ctx, cancel := context.WithTimeoutCause(ctx, within, timeout{after: within})
	defer cancel()
	ctx, unstop := w.untilStopped(ctx, 0) // a trial only waits, and is held again
	defer unstop()
	defer w.watch(ctx)()
	if err := w.connect(ctx); err != nil {
		return notConfirmed(within, err)
	}
	for {
		err := w.checkTrial(ctx, t, c)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return notConfirmed(within, err)
		case <-time.After(time.Second):
		}
	}
}

// checkTrial tells why the change has not stood its trial yet, or nil.
func (w *walk) checkTrial(ctx context.Context, t *Task, c *Confirm) error {
	if c.Check != nil {
		if err := w.Device.Check(ctx, c.Check); err != nil {
			return err
		}
	}
	if k := w.kindsTrial(); k != nil && k.Proof != nil {
		return w.guard(ctx, func() error { return k.Proof(ctx, t) })
	}
	return nil
}

// makeFinal lets a Confirmer make its change final. That the trial was withstood
// is on disk first: a cut in it begins no trial again.
func (w *walk) makeFinal(ctx context.Context, t *Task) error {
	k, ok := w.Kinds[w.step().Kind].(Confirmer)
	if !ok {
		return nil
	}
	r, rec := w.r.clone()
	if !rec.Confirmed {
		rec.Confirmed = true
		w.change(r)
		if err := w.commit(); err != nil {
			return err
		}
	}
	return w.guard(ctx, func() error { return k.Confirm(ctx, t) })
}

// notConfirmed is why a trial ended; the change is then undone, not made again.
func notConfirmed(within time.Duration, err error) error {
	return fmt.Errorf("not confirmed within %s: %w", within, err)
}

func (w *walk) connect(ctx context.Context) error {
	if err := w.Device.Connect(ctx); err != nil {
		return fmt.Errorf("no connection to the broker: %w", err)
	}
	return nil
}
