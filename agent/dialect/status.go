package dialect

import (
	"encoding/json"

	"github.com/ratchetd/ratchet/executor"
)

// JobStatus is the status of one job on one device, as it goes over the wire.
type JobStatus struct {
	Job        string         `json:"job"`
	Device     string         `json:"device"`
	State      executor.State `json:"state"`
	Rev        uint64         `json:"rev"`
	Reason     string         `json:"reason,omitempty"`
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
