package dialect

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/ratchetd/ratchet/executor"
)

// JobStatus is the status of one job on one device, as it goes over the wire.
type JobStatus struct {
	Job        string         `json:"job"`
	Device     string         `json:"device"`
	State      executor.State `json:"state"`
	Rev        uint64         `json:"rev"`
	Reason     string         `json:"reason"`
	Warnings   []string       `json:"warnings,omitempty"`
	Step       *CurrentStep   `json:"step,omitempty"` // absent when final
	Steps      []StepStatus   `json:"steps,omitempty"`
	AcceptedAt executor.Time  `json:"acceptedAt,omitzero"`
	StartedAt  executor.Time  `json:"startedAt,omitzero"`
	EndedAt    executor.Time  `json:"endedAt,omitzero"`
	Digest     string         `json:"digest,omitempty"`
	By         string         `json:"by,omitempty"`
}

// CurrentStep is the step that is next or under way.
type CurrentStep struct {
	Index    int     `json:"index"` // from 0
	Of       int     `json:"of"`
	Name     string  `json:"name"`
	Kind     string  `json:"kind"`
	Attempt  int     `json:"attempt"`
	Progress float64 `json:"progress"`
}

// StepStatus is one step of a status.
type StepStatus struct {
	Name        string          `json:"name"`
	State       executor.State  `json:"state"`
	Phase       executor.Phase  `json:"phase,omitempty"` // onFailure, or empty
	Attempts    int             `json:"attempts"`
	Interrupted int             `json:"interrupted"`
	Millis      int64           `json:"millis"`
	Reason      string          `json:"reason,omitempty"`
	Resumed     string          `json:"resumed,omitempty"` // rerun, verify or fail
	Output      string          `json:"output,omitempty"`
	Result      json.RawMessage `json:"result,omitempty"`
}

// Tolerated says which steps of a job that succeeded had failed all the same, as
// continueOnFailure lets them; empty: none.
func (s JobStatus) Tolerated() string {
	if s.State != executor.Succeeded {
		return ""
	}
	var failed []string
	for _, step := range s.Steps {
		if step.State == executor.Failed {
			failed = append(failed, strings.TrimSuffix("step "+step.Name+" failed: "+step.Reason, ": "))
		}
	}
	return strings.Join(failed, "; ")
}

// NewStatus says about a job what its Record and RAM know.
func NewStatus(device string, r Report) JobStatus {
	rec := r.Record
	s := JobStatus{
		Job: rec.ID, Device: device, State: rec.State, Rev: rec.Rev, Reason: rec.Reason, Warnings: rec.Warnings,
		Steps: stepStatuses(rec), AcceptedAt: rec.Accepted, StartedAt: rec.Started, EndedAt: rec.Ended,
		Digest: rec.Digest, By: rec.By,
	}
	if r.Waiting != "" && (rec.State == executor.Queued || rec.State == executor.Running) {
		s.State, s.Reason = executor.Waiting, r.Waiting
	}
	if !rec.State.Final() {
		s.Step = currentStep(rec, r.Progress)
	}
	return s
}

// stepStatuses is empty for a Record whose document is pruned or was never read.
func stepStatuses(rec executor.Record) []StepStatus {
	var list []StepStatus
	for i := range min(len(rec.Steps), rec.Job.Total()) {
		list = append(list, stepStatus(rec, i))
	}
	return list
}

func stepStatus(rec executor.Record, i int) StepStatus {
	sr := rec.Steps[i]
	s := StepStatus{
		Name: rec.Job.StepAt(i).Name, State: sr.State, Attempts: sr.Attempts, Interrupted: sr.Interrupted + sr.Trials,
		Millis: sr.Millis, Reason: sr.Reason, Resumed: sr.Resumed, Output: sr.Output, Result: compact(sr.Result),
	}
	switch sr.State {
	case "":
		s.State = executor.Pending
	case executor.Stopped:
		s.State = executor.Running
	}
	if i >= len(rec.Job.Steps) {
		s.Phase = executor.OnFailure
	}
	return s
}

func currentStep(rec executor.Record, progress float64) *CurrentStep {
	i := rec.At.Step
	if i < 0 || i >= min(len(rec.Steps), rec.Job.Total()) {
		return nil
	}
	step := rec.Job.StepAt(i)
	c := &CurrentStep{Index: i, Of: rec.Job.Total(), Name: step.Name, Kind: step.Kind,
		Attempt: rec.Steps[i].Attempts, Progress: fraction(progress)}
	if rec.At.Undo && rec.Steps[i].Undo != nil {
		c.Attempt = rec.Steps[i].Undo.Attempts
	}
	return c
}

// fraction keeps what a bar can show, and what JSON can hold.
func fraction(f float64) float64 {
	if !(f > 0) { // NaN too
		return 0
	}
	return math.Round(min(f, 1)*1000) / 1000
}

// ParseStatus reads a status that any version of the agent may have written:
// what it does not know it leaves out.
func ParseStatus(payload []byte) (JobStatus, error) {
	var s JobStatus
	if err := json.Unmarshal(payload, &s); err != nil {
		return JobStatus{}, fmt.Errorf("reading the status: %w", err)
	}
	return s, nil
}
