package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"runtime"
	"strings"
	"time"
)

const (
	ownWatchdog = 3 * time.Minute // where systemd wants to hear nothing
	lastMoment  = 2 * time.Minute // for an agent that was asked to end: a step has 20 s of it
	maxMissed   = 3               // checks; systemd would end the agent one later
	dumpBytes   = 32 << 10        // of the runtime's dump; what is logged of it is half as long
)

// errHangs is Run's error when it could not wait for what it has begun.
var errHangs = errors.New("the agent hangs and ends, to be started anew")

// guard returns when the agent's loops have ended, or when a part of it hangs:
// then whoever started this process, procd or systemd, starts it again. As long
// as all get on it feeds systemd's watchdog, which ends a process that cannot
// even do this.
func (a *Agent) guard(ctx context.Context, ended <-chan error) error {
	limit := cmp.Or(watchdog(), ownWatchdog) / 4
	notify("READY=1\n" + a.summary())
	missed := 0
	for next := time.After(limit); ; {
		select {
		case err := <-ended:
			return err
		case <-ctx.Done():
			return a.last(ctx, ended)
		case <-next:
		}
		next = time.After(limit)
		summary, err := a.alive(ctx, limit)
		switch {
		case ctx.Err() != nil:
		case err == nil:
			missed = 0
			notify("WATCHDOG=1\n" + summary)
		default:
			if missed++; missed == maxMissed {
				return a.hangs(err)
			}
			a.log.Error("a part of the agent does not get on: soon it ends, to be started anew", "err", err)
		}
	}
}

// last waits for the end of an agent that was asked to end.
func (a *Agent) last(ctx context.Context, ended <-chan error) error {
	if context.Cause(ctx) != ErrRestart { // the next agent has the same process id
		notify("STOPPING=1")
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(lastMoment):
		return a.hangs(fmt.Errorf("it was asked to end %s ago", lastMoment))
	}
}

// hangs logs where every goroutine is.
func (a *Agent) hangs(why error) error {
	err := fmt.Errorf("%w: %w", errHangs, why)
	a.log.Error(err.Error())
	for _, line := range goroutines() {
		a.log.Error(line)
	}
	return err
}

// goroutines tells where each is, the inmost place first, a line each: a router
// keeps 64 KiB of log in all.
func goroutines() (lines []string) {
	text := make([]byte, dumpBytes)
	text = text[:runtime.Stack(text, true)]
	for one := range strings.SplitSeq(string(text), "\n\n") {
		state, stack, _ := strings.Cut(one, "\n")
		var at []string
		for line := range strings.Lines(stack) {
			if place, ok := strings.CutPrefix(line, "\t"); ok {
				place, _, _ = strings.Cut(strings.TrimSpace(place), " ")
				at = append(at, path.Join(path.Base(path.Dir(place)), path.Base(place)))
			}
		}
		lines = append(lines, state+" "+strings.Join(at, " < "))
	}
	return lines
}
