package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/executor"
)

// A view is one job on the fleet.
type view struct {
	*roster
	job         string
	waitOffline bool
	notes       chan string     // what else there is to say while it is watched; may be nil
	expected    map[string]bool // expects by device, until its facts or the offers change
}

func newView(job string, waitOffline bool) *view {
	return &view{roster: newRoster(), job: job, waitOffline: waitOffline, expected: map[string]bool{}}
}

// take is the roster's, with an eye on what changes who is reached.
func (v *view) take(m link.Message) (dialect.JobStatus, bool) {
	switch {
	case m.Topic.To != "":
		clear(v.expected)
	case m.Topic.Part == "facts":
		delete(v.expected, m.Topic.Device)
	}
	news, ok := v.roster.take(m)
	return news, ok && !v.stale(news)
}

// A row is one device that the job reaches or reached.
type row struct {
	device   string
	online   bool
	answered bool
	status   dialect.JobStatus
}

func (v *view) rows(now time.Time) []row {
	var rows []row
	for _, d := range v.sorted() {
		s, answered := d.jobs[v.job]
		answered = answered && !v.stale(s)
		if answered || v.expectsMemo(d, now) {
			rows = append(rows, row{d.id, d.presence.Online, answered, s})
		}
	}
	return rows
}

func (v *view) expectsMemo(d *device, now time.Time) bool {
	yes, known := v.expected[d.id]
	if !known {
		yes = v.expects(v.job, d, now)
		v.expected[d.id] = yes
	}
	return yes
}

// waits tells whether a device may still have something to say.
func (v *view) waits(rows []row) bool {
	return slices.ContainsFunc(rows, func(r row) bool { return !r.final() && (r.online || v.waitOffline) })
}

func (r row) final() bool { return r.answered && r.status.State.Final() }

func (r row) bad() bool { return r.final() && r.status.State != executor.Succeeded }

// lastWord is what a device said before it went away.
func (r row) lastWord() string {
	if !r.answered {
		return "has not answered yet"
	}
	return headline(r.status)
}

// headline is a status in a few words.
func headline(s dialect.JobStatus) string {
	words := string(s.State)
	if p := s.Step; p != nil && !s.State.Final() {
		words += fmt.Sprintf(" %d/%d %s (%s)", p.Index+1, p.Of, p.Name, p.Kind)
		if p.Attempt > 1 {
			words += fmt.Sprintf(", attempt %d", p.Attempt)
		}
	}
	if s.Reason != "" {
		words += ": " + s.Reason
	}
	return printable(words)
}

// printable keeps what a device says from moving the cursor.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return -1
	}, s)
}

// stateOrder is the order in which states are counted out.
var stateOrder = []executor.State{executor.Queued, executor.Waiting, executor.Running, executor.Undoing,
	executor.Succeeded, executor.Failed, executor.Cancelled, executor.Rejected}

// stateCounts says on how many devices a job is in each state.
type stateCounts map[executor.State]int

func (c *stateCounts) add(s executor.State) {
	if *c == nil {
		*c = stateCounts{}
	}
	(*c)[s]++
}

// String is such as "2 succeeded, 1 failed".
func (c stateCounts) String() string {
	var parts []string
	for _, s := range stateOrder {
		if c[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c[s], s))
		}
	}
	return strings.Join(parts, ", ")
}
