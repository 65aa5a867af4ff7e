package executor

import (
	"context"
	"fmt"
	"time"
)

// ownTrial is how long a trial lasts that the kind asks for and the step does not.
const ownTrial = 3 * time.Minute

// confirm is the trial of the step under the cursor, or nil: what the step says,
// otherwise what its kind asks for.
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

// trial puts the change of the step under the cursor on trial: in time the agent
// must connect again, the check must pass and the kind must see its proof. That
// the trial has begun is committed first, so that a power cut repeats the trial
// and not the change.
func (a *attempt) trial(ctx context.Context, c *Confirm) error {
	w := a.w
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
	ctx, unstop := w.untilStopped(ctx, 0) // a trial only waits, and is repeated at the next start
	defer unstop()
	defer w.watch(ctx)()
	if err := w.Device.Connect(ctx); err != nil {
		return notConfirmed(within, fmt.Errorf("no connection to the broker: %w", err))
	}
	for {
		err := a.checkTrial(ctx, c)
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

// checkTrial is why the change has not passed its trial yet, or nil.
func (a *attempt) checkTrial(ctx context.Context, c *Confirm) error {
	if c.Check != nil {
		if err := a.w.Device.Check(ctx, c.Check); err != nil {
			return err
		}
	}
	if k := a.w.kindsTrial(); k != nil && k.Proof != nil {
		return a.w.guard(ctx, func() error { return k.Proof(ctx, a.task) })
	}
	return nil
}

// makeFinal lets a Confirmer make its change final. That the trial was passed is
// committed first: a cut from here on does not repeat the trial.
func (a *attempt) makeFinal(ctx context.Context) error {
	w := a.w
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
	return w.guard(ctx, func() error { return k.Confirm(ctx, a.task) })
}

// notConfirmed is the error of a trial that ended without success.
func notConfirmed(within time.Duration, err error) error {
	return fmt.Errorf("not confirmed within %s: %w", within, err)
}
