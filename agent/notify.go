package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

// notify tells systemd how this agent is. Without systemd it does nothing; what
// systemd does not take it finds out itself.
func notify(state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = conn.Write([]byte(state))
}

// watchdog is how often systemd wants to hear of this process; 0 is never.
func watchdog() time.Duration {
	if pid := os.Getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	usec, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || usec < 0 {
		return 0
	}
	return time.Duration(usec) * time.Microsecond
}

// A pulse is asked of every loop that a device depends on. A loop gives it where
// it waits for something to do; one that hangs gives none.
type pulse struct {
	work, report chan struct{}
	commit       atomic.Pointer[time.Time] // when the commit that is under way began
}

func newPulse() *pulse { return &pulse{work: make(chan struct{}), report: make(chan struct{})} }

// committing is called before a commit; it returns what is to be called behind it.
func (p *pulse) committing() func() {
	now := time.Now()
	p.commit.Store(&now)
	return func() { p.commit.Store(nil) }
}

// prove tells systemd that the agent works, as often as it wants to know, and
// that it stops.
func (a *Agent) prove(ctx context.Context) error {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return nil
	}
	limit := watchdog() / 4
	notify("READY=1\n" + a.summary())
	for limit > 0 && ctx.Err() == nil {
		err := a.alive(ctx, limit)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			a.log.Error("the watchdog is not fed", "err", err)
		default:
			notify("WATCHDOG=1\n" + a.summary())
		}
		pause(ctx, limit)
	}
	<-ctx.Done()
	if context.Cause(ctx) != ErrRestart { // the next agent has the same process id
		notify("STOPPING=1")
	}
	return nil
}

// alive tells which part of the agent does not answer within limit, or nil. A
// step that runs is no sign of life nor of death: it has a limit of its own.
func (a *Agent) alive(ctx context.Context, limit time.Duration) error {
	if began := a.pulse.commit.Load(); began != nil && time.Since(*began) > limit {
		return fmt.Errorf("a commit to the journal has not ended for %s", time.Since(*began).Round(time.Second))
	}
	if !returns(ctx, limit, func() { a.status() }) {
		return errors.New("the journal, the link or the alerts do not answer")
	}
	if !beats(ctx, limit, a.pulse.report) {
		return errors.New("the loop that reports hangs")
	}
	if !a.running.busy() && !beats(ctx, limit, a.pulse.work) && !a.running.busy() {
		return errors.New("the loop that runs jobs hangs")
	}
	return nil
}

func beats(ctx context.Context, limit time.Duration, loop chan<- struct{}) bool {
	select {
	case loop <- struct{}{}:
		return true
	case <-ctx.Done():
		return true
	case <-time.After(limit):
		return false
	}
}

// returns tells whether f does in time. One that does not is left behind, and
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

// summary is what systemctl status shows.
func (a *Agent) summary() string {
	l, jobs := a.link.status(), 0
	if records, err := a.db.Unfinished(); err == nil {
		jobs = len(records)
	}
	how := "connected to " + a.config.Load().Link.Broker
	if !l.Connected {
		how = "not connected"
	}
	return fmt.Sprintf("STATUS=%s, unfinished jobs: %d", how, jobs)
}
