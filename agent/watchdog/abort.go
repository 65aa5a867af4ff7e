package watchdog

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// errAborted is the end that systemd's watchdog makes of a process of which it hears
// nothing.
var errAborted = errors.New("SIGABRT came, as systemd's watchdog sends it that has heard nothing")

// untilAborted is ctx until SIGABRT comes. What the Go runtime makes of that signal is
// every goroutine's stack and the processor's registers, hundreds of lines of log.
func untilAborted(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	came := make(chan os.Signal, 1)
	signal.Notify(came, syscall.SIGABRT)
	go func() {
		select {
		case <-came:
			cancel(errAborted)
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(came)
		cancel(nil)
	}
}
