package agent

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// A pulse tells how the loops get on that a device depends on: those that run
// jobs and report, and the one that keeps a connection.
type pulse struct {
	// A loop takes from its channel where it waits for something to do; one that
	// hangs does not.
	work, report chan struct{}
	went         atomic.Uint64 // rises whenever the loop that runs jobs gets on
	asked        atomic.Uint64 // rises when the loop that reports begins to wait for an answer, and when it has one
	call         atomic.Pointer[call]
	linking      atomic.Pointer[time.Time] // since when a connection has been made, or unmade
	frozen       atomic.Bool               // a flash of the firmware holds up all that writes
}

func newPulse() *pulse { return &pulse{work: make(chan struct{}), report: make(chan struct{})} }

// A call is what the loop that runs jobs waits for: a step's kind, mostly.
type call struct {
	outer *call
	late  atomic.Pointer[time.Time] // since when it should be over
}

// watch notes that something has been begun that is over soon after ctx, and
// returns what is to be called then. One may be begun within another: only the
// inmost counts, so a write that a cancel does not end is not late.
func (p *pulse) watch(ctx context.Context) (over func()) {
	c := &call{outer: p.call.Load()}
	stop := context.AfterFunc(ctx, c.due)
	p.call.Store(c)
	p.went.Add(1)
	return func() {
		stop()
		if c.outer != nil && c.outer.late.Load() != nil {
			c.outer.due() // it could not end before
		}
		p.call.Store(c.outer)
		p.went.Add(1)
	}
}

func (c *call) due() { now := time.Now(); c.late.Store(&now) }

// late is an error for what has been under way for longer than limit.
func late(what string, since *time.Time, limit time.Duration) error {
	if since == nil || time.Since(*since) <= limit {
		return nil
	}
	return fmt.Errorf("%s for %s", what, time.Since(*since).Round(time.Second))
}

// lateSteps and lateLinks are how many times the limit of a loop a step gets to
// end when its time is over, and a connection to be made: 4.5 and 15 minutes.
const lateSteps, lateLinks = 6, 20

// alive tells how the agent is, or which part of it does not get on within
// limit. That the board can be looked at is no part of it: where a disk hangs a
// new agent hangs as well, and this one still runs jobs.
func (a *Agent) alive(ctx context.Context, limit time.Duration) (summary string, err error) {
	if err := a.stepEnds(limit); err != nil || a.pulse.frozen.Load() {
		return "", err
	}
	if !returns(ctx, limit, a.db.AwaitCommit) {
		return "", fmt.Errorf("a commit to the journal does not end within %s", limit)
	}
	said := make(chan string, 1)
	if !returns(ctx, limit, func() { a.status(); said <- a.summary() }) {
		return "", errors.New("the journal, the link, the schedules or the alerts do not answer")
	}
	if err := late("a connection to the broker has been made or ended", a.pulse.linking.Load(), lateLinks*limit); err != nil {
		return "", err
	}
	if !a.reports(ctx, limit) {
		return "", errors.New("the loop that reports hangs")
	}
	if !a.works(ctx, limit) {
		return "", errors.New("the loop that runs jobs hangs")
	}
	select {
	case summary = <-said:
	default:
	}
	return summary, nil
}

// stepEnds reports whether what a job waits for has outlived its own limit, or a cancel.
func (a *Agent) stepEnds(limit time.Duration) error {
	c := a.pulse.call.Load()
	if c == nil {
		return nil
	}
	return late("a step should be over, and goes on", c.late.Load(), lateSteps*limit)
}

// works reports whether the loop that runs jobs waits for something, or gets on.
func (a *Agent) works(ctx context.Context, limit time.Duration) bool {
	before := a.pulse.went.Load()
	return a.pulse.call.Load() != nil || beats(ctx, limit, a.pulse.work) || a.pulse.went.Load() != before
}

// acknowledged waits for the broker's answer to what is reported. On a slow link that
// takes its time, again and again.
func (a *Agent) acknowledged(ctx context.Context, n *conn, t mqtt.Token) error {
	a.pulse.asked.Add(1)
	defer a.pulse.asked.Add(1)
	return n.answered(ctx, t)
}

// reports reports whether the loop that reports waits for something, or gets on. An
// answer is not waited for without end.
func (a *Agent) reports(ctx context.Context, limit time.Duration) bool {
	before := a.pulse.asked.Load()
	return before%2 == 1 || beats(ctx, limit, a.pulse.report) || a.pulse.asked.Load() != before
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
