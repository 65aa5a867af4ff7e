package fleet

import (
	"slices"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/executor"
)

// A Job is one job on the fleet.
type Job struct {
	*Fleet
	ID          string
	WaitOffline bool              // devices that are offline are waited for as well
	expected    map[string]bool   // expects by device, until its facts or the offers change
	texts       map[string]string // normal of each reason
}

// NewJob is a job of which nothing is known yet.
func NewJob(id string, waitOffline bool) *Job {
	return &Job{Fleet: New(), ID: id, WaitOffline: waitOffline, expected: map[string]bool{}, texts: map[string]string{}}
}

// Parts are all that says something of the job.
func (j *Job) Parts() []Part { return []Part{Offers(j.ID), Devices, Statuses("+", j.ID)} }

// Apply is the fleet's, with an eye on what changes who is reached.
func (j *Job) Apply(m link.Message) (dialect.JobStatus, bool) {
	switch {
	case m.Topic.To != "":
		clear(j.expected)
	case m.Topic.Part == "facts":
		delete(j.expected, m.Topic.Device)
	}
	news, ok := j.Fleet.Apply(m)
	return news, ok && !j.stale(news) && j.of(news)
}

// Rows are the devices that the job reaches or reached, by id.
func (j *Job) Rows(now time.Time) []Row {
	var rows []Row
	for _, d := range j.Devices() {
		s, answered := d.Jobs[j.ID]
		answered = answered && !j.stale(s)
		switch expected := j.expectsMemo(d, now); {
		case answered && j.of(s):
			rows = append(rows, Row{Device: d.ID, Online: d.Presence.Online, Answered: true, Status: s})
		case answered && expected:
			rows = append(rows, Row{Device: d.ID, Online: d.Presence.Online, Other: true})
		case expected:
			rows = append(rows, Row{Device: d.ID, Online: d.Presence.Online})
		}
	}
	return rows
}

// of reports whether a status is about a document that is offered. Where none is,
// any more, it is about the one that was.
func (j *Job) of(s dialect.JobStatus) bool {
	if s.Digest == "" {
		return true
	}
	offers := 0
	for _, o := range j.Offers(j.ID) {
		if o.Cancel {
			continue
		}
		if offers++; o.digest == s.Digest {
			return true
		}
	}
	return offers == 0
}

func (j *Job) expectsMemo(d *Device, now time.Time) bool {
	yes, known := j.expected[d.ID]
	if !known {
		yes = j.expects(j.ID, d, now)
		j.expected[d.ID] = yes
	}
	return yes
}

// Waits reports whether some device may still have something to say.
func (j *Job) Waits(rows []Row) bool {
	return slices.ContainsFunc(rows, func(r Row) bool { return !r.Final() && (r.Online || j.WaitOffline) })
}

// A Row is one device that the job reaches or reached.
type Row struct {
	Device   string
	Online   bool
	Answered bool
	Other    bool              // it knows another document under this id, so it refuses this one
	Status   dialect.JobStatus // while Answered
}

// Final reports whether the device is done with the job.
func (r Row) Final() bool { return r.Other || r.Answered && r.Status.State.Final() }

// Bad reports whether the job ended in another way than well.
func (r Row) Bad() bool { return r.Final() && r.Status.State != executor.Succeeded }

// Fraction is how far the job is, 0 to 1.
func (r Row) Fraction() float64 {
	p := r.Status.Step
	switch {
	case r.Final():
		return 1
	case p == nil || p.Of <= 0:
		return 0
	}
	return min(1, max(0, (float64(p.Index)+min(1, max(0, p.Progress)))/float64(p.Of)))
}

// Cuts is how often the power went, or the agent died, while a step ran.
func (r Row) Cuts() int {
	n := 0
	for _, s := range r.Status.Steps {
		n += s.Interrupted
	}
	return n
}

// Job is one job on this view, for as long as the view does not change.
func (f *Fleet) Job(id string) *Job {
	j := NewJob(id, false)
	j.Fleet = f
	return j
}
