package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

// errPromise says that the demo saw a promise broken.
var errPromise = errors.New("a promise was not kept: see the table")

// An entry is one step on one device: what the device told, and what was seen.
type entry struct {
	device  string
	step    dialect.StepStatus
	ran     int // how often it really began; -1: it leaves no mark
	cut     bool
	jobDone bool
}

// kept tells whether the step ran as promised: once, or where the power went
// once more, as its author declared.
func (e entry) kept() bool {
	cuts := 0
	if e.cut {
		cuts = 1
	}
	return e.jobDone && e.step.State == executor.Succeeded &&
		e.step.Attempts == 1+cuts && e.step.Interrupted == cuts && (e.ran == 1+cuts || e.ran < 0)
}

// account lists every step on every device.
func (st *stage) account(v *view) []entry {
	var all []entry
	for i, d := range st.daemons {
		marks, status := d.ran(), v.device(d.device).jobs[v.job]
		marks["fetch"] = st.depot.times("/" + d.device)
		for _, step := range status.Steps {
			e := entry{device: d.device, step: step, ran: marks[step.Name], jobDone: status.State == executor.Succeeded,
				cut: i == cutDevice && step.Name == cutStep}
			if step.Name == quietStep {
				e.ran = -1
			}
			all = append(all, e)
		}
	}
	return all
}

// verdict shows the account and says whether all promises were kept.
func (s *session) verdict(all []entry) error {
	fmt.Fprintln(s.out)
	t := newTable(s.out, "DEVICE", "STEP", "STATE", "ATTEMPTS", "CUT", "REALLY RAN", "AS PROMISED")
	broken := 0
	for _, e := range all {
		ran, kept := "-", "yes"
		if e.ran >= 0 {
			ran = strconv.Itoa(e.ran)
		}
		if !e.kept() {
			kept = "NO"
			broken++
		}
		t.row(e.device, e.step.Name, string(e.step.State), strconv.Itoa(e.step.Attempts), strconv.Itoa(e.step.Interrupted), ran, kept)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if broken > 0 || len(all) == 0 {
		return errPromise
	}
	fmt.Fprint(s.out, "\nEvery step ran as promised. No step that was done ran again; the one that the\npower cut "+
		"met ran once more, as its author declared (ifInterrupted: rerun).\n")
	return nil
}
