// Package step holds the kinds of steps that a device can do: command,
// download, file and reboot, one file each. Each is a struct whose zero value
// is of use, and each ends in the same place however often it is cut on the
// way; package steptest proves that.
//
// It decides nothing about a job: order, retries, interruptions and timeouts
// that a job gives are the executor's. It keeps nothing but what a step needs
// to go on or to be undone, and that in the Task.
package step

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ratchetd/ratchet/executor"
)

var errStopped = errors.New("the agent is stopping")

// filesTimeout is what a step that only writes files gets. Nothing ends a write
// to a disk that hangs, but the agent notices.
const filesTimeout = time.Hour

// limit ends ctx after the step's timeout, or else the kind's own.
func limit(ctx context.Context, t *executor.Task, ownTimeout time.Duration) (context.Context, context.CancelFunc) {
	d := cmp.Or(time.Duration(t.Timeout), ownTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, d, fmt.Errorf("timed out after %s", d))
	over := t.Watch(ctx)
	return ctx, func() { over(); cancel() }
}

// sleep waits for d, or until ctx ends or the agent is asked to stop.
func sleep(ctx context.Context, stopping <-chan struct{}, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-stopping:
		return errStopped
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
