package demo

import (
	"errors"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

// An Entry is one step on one device: what the device said, and what was seen.
type Entry struct {
	Device string
	Step   dialect.StepStatus
	Ran    int // how often it really began; -1: it leaves no mark

	cut     bool // the power went in it
	jobDone bool
}

// Kept reports whether the step ran as promised: once, or where the power went
// once more, as its author declared.
func (e Entry) Kept() bool {
	cuts := 0
	if e.cut {
		cuts = 1
	}
	return e.jobDone && e.Step.State == executor.Succeeded &&
		e.Step.Attempts == 1+cuts && e.Step.Interrupted == cuts && (e.Ran == 1+cuts || e.Ran < 0)
}

// An Account is every step on every device.
type Account []Entry

// Kept is an error when a promise was not kept, or nothing was seen at all.
func (a Account) Kept() error {
	kept := len(a) > 0
	for _, e := range a {
		kept = kept && e.Kept()
	}
	if !kept {
		return errors.New("a promise was not kept: see the table")
	}
	return nil
}

// Account is taken once the job is done.
func (st *Stage) Account() Account {
	var all Account
	for i, d := range st.daemons {
		marks, status := d.ran(), st.Job.Device(d.device).Jobs[st.Job.ID]
		marks["fetch"] = st.depot.times("/" + d.device)
		for _, step := range status.Steps {
			e := Entry{Device: d.device, Step: step, Ran: marks[step.Name], jobDone: status.State == executor.Succeeded,
				cut: i == cutDevice && step.Name == cutStep}
			if step.Name == quietStep {
				e.Ran = -1
			}
			all = append(all, e)
		}
	}
	return all
}
