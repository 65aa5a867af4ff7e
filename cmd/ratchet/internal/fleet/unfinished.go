package fleet

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/ratchetd/ratchet/executor"
)

// A Wait is what some devices wait for, or do, before they are done with a job.
type Wait struct {
	For     string   `json:"for"`
	Devices []string `json:"devices"` // by id
}

// Unfinished groups the devices that are not done with the job by what they wait
// for. What most of them wait for comes first.
func (j *Job) Unfinished(rows []Row) []Wait {
	byWhat := map[string][]string{}
	for _, r := range rows {
		if !r.Final() {
			what := r.WaitsFor()
			if j.texts[what] == "" {
				j.texts[what] = normal(what)
			}
			if r.Status.State == executor.Waiting {
				what = j.texts[what]
			}
			byWhat[what] = append(byWhat[what], r.Device)
		}
	}
	var all []Wait
	for what, devices := range byWhat {
		all = append(all, Wait{what, devices})
	}
	slices.SortFunc(all, func(a, b Wait) int {
		return cmp.Or(cmp.Compare(len(b.Devices), len(a.Devices)), cmp.Compare(a.For, b.For))
	})
	return all
}

// WaitsFor is what the device waits for, or does, before it is done.
func (r Row) WaitsFor() string {
	what := "has not answered yet"
	if r.Answered {
		what = string(r.Status.State)
		if p := r.Status.Step; p != nil {
			what += fmt.Sprintf(" %d/%d %s (%s)", p.Index+1, p.Of, p.Name, p.Kind)
		}
		if r.Status.State == executor.Waiting && r.Status.Reason != "" {
			what = "waiting: " + r.Status.Reason
		}
	}
	if !r.Online {
		what = "offline, " + what
	}
	return what
}
