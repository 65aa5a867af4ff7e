package executor

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// Limit ends ctx after the step's timeout, or else the kind's own.
func (t *Task) Limit(ctx context.Context, ownTimeout time.Duration) (context.Context, context.CancelFunc) {
	d := cmp.Or(time.Duration(t.Timeout), ownTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, d, fmt.Errorf("timed out after %s", d))
	over := t.Watch(ctx)
	return ctx, func() { over(); cancel() }
}

// Sleep waits for d, or until ctx ends or the agent is asked to stop.
func Sleep(ctx context.Context, stopping <-chan struct{}, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-stopping:
		return ErrStopped
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// UntilStop ends ctx when the agent is asked to stop; ErrStopped is the cause then.
func UntilStop(ctx context.Context, stopping <-chan struct{}) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-stopping:
			cancel(ErrStopped)
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
