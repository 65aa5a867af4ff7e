package fleet

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

// A JobLine is one job over the whole fleet.
type JobLine struct {
	Job       string        `json:"job"`
	To        []string      `json:"to"`        // where it is offered
	Cancelled []string      `json:"cancelled"` // where it is cancelled
	States    Counts        `json:"states"`    // devices by state
	Created   executor.Time `json:"created,omitzero"`
}

// JobLines lists every job that is offered or that a device still reports, the
// oldest first.
func (f *Fleet) JobLines() []*JobLine {
	byID := map[string]*JobLine{}
	line := func(id string) *JobLine {
		if byID[id] == nil {
			byID[id] = &JobLine{Job: id, To: []string{}, Cancelled: []string{}, States: Counts{}}
		}
		return byID[id]
	}
	for id, offers := range f.offers {
		for _, to := range slices.Sorted(maps.Keys(offers)) {
			line(id).add(to, offers[to])
		}
	}
	for _, d := range f.devices {
		for id, status := range d.Jobs {
			line(id).States[status.State]++
		}
	}
	return slices.SortedFunc(maps.Values(byID), func(a, b *JobLine) int { return older(a.Created, a.Job, b.Created, b.Job) })
}

// JobIDs are the ids of all jobs that are offered or reported, by name.
func (f *Fleet) JobIDs() []string {
	all := map[string]bool{}
	for id := range f.offers {
		all[id] = true
	}
	for _, d := range f.devices {
		for id := range d.Jobs {
			all[id] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

func (l *JobLine) add(to string, o Offer) {
	if o.Cancel {
		l.Cancelled = append(l.Cancelled, to)
		return
	}
	l.To, l.Created = append(l.To, to), o.Job.Created
}

// JobLines lists what the device reports of jobs, the oldest first.
func (d *Device) JobLines() []dialect.JobStatus {
	return slices.SortedFunc(maps.Values(d.Jobs), func(a, b dialect.JobStatus) int {
		return older(a.AcceptedAt, a.Job, b.AcceptedAt, b.Job)
	})
}

func older(a executor.Time, idA string, b executor.Time, idB string) int {
	if order := a.Compare(b.Time); order != 0 {
		return order
	}
	return strings.Compare(idA, idB)
}

// Counts says on how many devices a job is in each state.
type Counts map[executor.State]int

// states in the order in which they are counted out.
var states = []executor.State{executor.Queued, executor.Waiting, executor.Running, executor.Undoing,
	executor.Succeeded, executor.Failed, executor.Cancelled, executor.Rejected, executor.Undone, executor.Skipped, executor.Pending}

// Count counts the devices that have answered.
func Count(rows []Row) Counts {
	c := Counts{}
	for _, r := range rows {
		if r.Answered {
			c[r.Status.State]++
		}
	}
	return c
}

// String is such as "2 succeeded, 1 failed".
func (c Counts) String() string {
	var parts []string
	for _, s := range states {
		if c[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c[s], s))
		}
	}
	return strings.Join(parts, ", ")
}
