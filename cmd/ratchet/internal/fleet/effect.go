package fleet

import (
	"strings"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

// An Effect is what became of a device by a job that did not succeed there.
type Effect string

// Effects. Changed is said where anything may have stayed.
const (
	Untouched Effect = "untouched" // nothing that changes a device had begun
	Restored  Effect = "restored"  // all that was changed was taken back
	Changed   Effect = "changed"
)

// harmless are kinds that look at a device and change nothing of it.
var harmless = map[string]bool{"diagnostic": true, "data": true, "upload": true}

// effect judges by the steps that began: what is not undone stays.
func effect(s dialect.JobStatus, kinds map[string]string) Effect {
	if s.State == executor.Rejected {
		return Untouched
	}
	if len(s.Steps) == 0 && (s.State != executor.Cancelled || !s.StartedAt.IsZero()) {
		return Changed // its steps are pruned
	}
	all := Untouched
	for _, step := range s.Steps {
		switch {
		case step.Attempts == 0, harmless[kinds[step.Name]] && step.Phase == executor.Forward:
		case step.State == executor.Undone, strings.HasSuffix(step.Reason, "; undone"):
			all = Restored
		default:
			return Changed
		}
	}
	return all
}

// Effect is what became of the device where the job did not succeed.
func (j *Job) Effect(r Row) Effect { return effect(r.Status, j.kinds()) }
