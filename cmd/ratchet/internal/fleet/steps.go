package fleet

import (
	"github.com/ratchetd/ratchet/executor"
)

// A StepLine is one step of a job over the whole fleet.
type StepLine struct {
	Step    string         `json:"step"`
	Kind    string         `json:"kind"` // empty where no offer says it any more
	Phase   executor.Phase `json:"phase,omitempty"`
	States  Counts         `json:"states"`            // devices by state
	Slowest string         `json:"slowest,omitempty"` // the device that took longest
	Millis  int64          `json:"millis"`            // and how long
	Cuts    int            `json:"cuts"`              // times that the power went in it, or the agent died
}

// Steps are the job's steps over the rows, in their order.
func (j *Job) Steps(rows []Row) []StepLine {
	kinds, at := j.kinds(), map[string]int{}
	var lines []StepLine
	for _, r := range rows {
		for _, s := range r.Status.Steps {
			i, known := at[s.Name]
			if !known {
				i = len(lines)
				at[s.Name] = i
				lines = append(lines, StepLine{Step: s.Name, Kind: kinds[s.Name], Phase: s.Phase, States: Counts{}})
			}
			l := &lines[i]
			l.States[s.State]++
			if l.Cuts += s.Interrupted; s.Millis > l.Millis {
				l.Millis, l.Slowest = s.Millis, r.Device
			}
		}
	}
	return lines
}
