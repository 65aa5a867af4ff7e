// Package watchdog finds out which part of the agent hangs, and has the process
// ended then: whoever started it starts it again. It also speaks with systemd's own
// watchdog.
package watchdog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
)

const (
	ownWatchdog = 3 * time.Minute // where systemd wants to hear nothing
	lastMoment  = 2 * time.Minute // for an agent that was asked to end: a step has 20 s of it
	maxMissed   = 3               // checks; systemd would end the agent one later
	dumpBytes   = 32 << 10        // of the runtime's dump; what is logged of it is half as long
)

// ErrHangs says that a part of the agent hangs: it is left behind, and the process
// is to end.
var ErrHangs = errors.New("the agent hangs and ends, to be started again")

// lateSteps and lateLinks are how many times the limit of a loop a step gets to
// end when its time is over, and a connection to be made: 4.5 and 15 minutes.
const lateSteps, lateLinks = 6, 20

// A Watchdog watches one agent.
type Watchdog struct {
	// What it asks of the agent; each may hang, which is what it wants to know.
	// Commit returns once a commit to the journal that is under way has ended;
	// Linking is since when a connection has been made or ended, nil: none is;
	// Summary says in a line how the agent is, for which it asks every part of it.
	Commit  func()
	Linking func() *time.Time
	Summary func() string

	Work    Work
	Report  *Loop
	Limit   time.Duration // of one round of a loop; 0: a quarter of what systemd waits for, or of three minutes
	Restart error         // the cause of an end after which the same process begins again
	Log     *slog.Logger

	frozen atomic.Bool // a flash of the firmware holds up all that writes
}

// New watches an agent; set the rest before Guard.
func New() *Watchdog { return &Watchdog{Work: Work{Loop: NewLoop()}, Report: NewLoop()} }

// Freeze notes that all that writes is held up, and returns what ends that.
func (w *Watchdog) Freeze() (thaw func()) {
	w.frozen.Store(true)
	return func() { w.frozen.Store(false) }
}

// Guard returns when the agent's loops have ended, or when a part of it hangs:
// then whoever started this process, procd or systemd, starts it again. As long
// as all get on it feeds systemd's watchdog, which ends a process that cannot
// even do this.
func (w *Watchdog) Guard(ctx context.Context, ended <-chan error) error {
	limit := cmp.Or(w.Limit, cmp.Or(watchdog(), ownWatchdog)/4)
	ctx, stop := untilAborted(ctx)
	defer stop()
	notify("READY=1\n" + w.summary(ctx, limit))
	missed := 0
	for next := time.After(limit); ; {
		select {
		case err := <-ended:
			return err
		case <-ctx.Done():
			if err := context.Cause(ctx); err == errAborted {
				return w.hangs(err)
			}
			return w.last(ctx, ended)
		case <-next:
		}
		next = time.After(limit)
		summary, err := w.alive(ctx, limit)
		switch {
		case ctx.Err() != nil:
		case err == nil:
			missed = 0
			notify("WATCHDOG=1\n" + summary)
		default:
			if missed++; missed == maxMissed {
				return w.hangs(err)
			}
			w.Log.Error("a part of the agent does not get on: soon it ends, to be started again", "err", err)
		}
	}
}

// last waits for the end of an agent that was asked to end.
func (w *Watchdog) last(ctx context.Context, ended <-chan error) error {
	if context.Cause(ctx) != w.Restart { // the next agent has the same process id
		notify("STOPPING=1")
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(lastMoment):
		return w.hangs(fmt.Errorf("it was asked to end %s ago", lastMoment))
	}
}

// hangs logs where every goroutine is.
func (w *Watchdog) hangs(why error) error {
	err := fmt.Errorf("%w: %w", ErrHangs, why)
	w.Log.Error(err.Error())
	for _, line := range goroutines() {
		w.Log.Error(line)
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

// alive tells how the agent is, or which part of it does not get on within
// limit. That the board can be looked at is no part of it: where a disk hangs a
// new agent hangs as well, and this one still runs jobs.
func (w *Watchdog) alive(ctx context.Context, limit time.Duration) (summary string, err error) {
	if err := w.Work.late(limit); err != nil || w.frozen.Load() {
		return "", err
	}
	if !returns(ctx, limit, w.Commit) {
		return "", fmt.Errorf("a commit to the journal does not end within %s", limit)
	}
	if summary = w.summary(ctx, limit); summary == "" && ctx.Err() == nil {
		return "", errors.New("the journal, the link, the schedules or the alerts do not answer")
	}
	if err := late("a connection to the broker has been made or ended", w.Linking(), lateLinks*limit); err != nil {
		return "", err
	}
	if !w.Report.alive(ctx, limit) {
		return "", errors.New("the loop that reports hangs")
	}
	if !w.Work.alive(ctx, limit) {
		return "", errors.New("the loop that runs jobs hangs")
	}
	return summary, nil
}

// summary says how the agent is; nothing where that cannot be had within limit.
func (w *Watchdog) summary(ctx context.Context, limit time.Duration) string {
	said := make(chan string, 1)
	returns(ctx, limit, func() { said <- w.Summary() })
	select {
	case summary := <-said:
		return summary
	default:
		return ""
	}
}

// returns reports whether f does in time. One that does not is left behind, and
// so is this process.
func returns(ctx context.Context, limit time.Duration, f func()) bool {
	done := make(chan struct{})
	go func() { f(); close(done) }()
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return true
	case <-time.After(limit):
		return false
	}
}
