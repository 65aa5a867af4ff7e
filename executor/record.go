package executor

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// State is where a job or a step is. The words are those of the wire.
type State string

// Job states. The last four are final.
const (
	Queued    State = "queued"
	Waiting   State = "waiting" // told from RAM: on disk such a job is queued or running
	Running   State = "running"
	Undoing   State = "undoing"
	Succeeded State = "succeeded"
	Failed    State = "failed"
	Cancelled State = "cancelled"
	Rejected  State = "rejected"
)

// Step states, besides Running, Succeeded and Failed.
const (
	Pending State = "pending"
	Skipped State = "skipped"
	Undone  State = "undone"
	Stopped State = "stopped" // the agent was stopped in it; told as running
)

// Final reports whether a job in this state never changes again.
func (s State) Final() bool {
	return s == Succeeded || s == Failed || s == Cancelled || s == Rejected
}

// A Record is all that the device durably knows about one job. It is a value:
// Accept writes the first, running turns one into the next, reporting is a
// function of it. Text is written once and every step's Output and Result
// once, under keys of their own; the rest is the small state of each commit.
type Record struct {
	Key    string          `json:"key"`              // identity in the journal; the plain dialect's is the job id
	Seq    uint64          `json:"seq"`              // order of acceptance, given by the store
	Origin json.RawMessage `json:"origin,omitempty"` // who to answer, in the dialect's own words
	Text   []byte          `json:"-"`                // the document's exact bytes
	Job    Job             `json:"-"`                // Text, parsed; the store fills it in
	ID     string          `json:"id"`
	Digest string          `json:"digest"`          // sha256 of Text, lower-case hex
	By     string          `json:"by,omitempty"`    // id of the key that signed
	Signed Time            `json:"signed,omitzero"` // when, as far as that can be believed
	Alert  json.RawMessage `json:"alert,omitempty"`

	Rev      uint64       `json:"rev"` // counts the commits of this Record, from 1
	State    State        `json:"state"`
	Reason   string       `json:"reason,omitempty"`
	Warnings []string     `json:"warnings,omitempty"`
	Accepted Time         `json:"accepted,omitzero"`
	Started  Time         `json:"started,omitzero"`
	Ended    Time         `json:"ended,omitzero"`
	Ran      Duration     `json:"ran,omitzero"`    // running time since the first begin
	Walked   Duration     `json:"walked,omitzero"` // running time of the walk back, or of the one over onFailure
	At       Cursor       `json:"at"`
	Verdict  State        `json:"verdict,omitempty"` // while undoing: how the job will end
	Steps    []StepRecord `json:"steps"`             // steps, then those of onFailure
}

// clockSkew is how far apart the clocks of two computers that sign may be.
const clockSkew = time.Hour

// Outlives reports whether a job was certainly signed after a cancel of its id,
// which then was for an earlier job. A zero time is unknown and proves nothing.
func Outlives(job, cancel time.Time) bool {
	return !cancel.IsZero() && job.After(cancel.Add(clockSkew))
}

// Phase is which of a job's three walks it is on.
type Phase string

// The walks: forward over steps, back over the done ones, forward over onFailure.
const (
	Forward   Phase = ""
	Back      Phase = "undo"
	OnFailure Phase = "onFailure"
)

// Cursor is the step that is next or under way. Undo says that it is the step's
// Undo.
type Cursor struct {
	Phase Phase `json:"phase,omitempty"`
	Step  int   `json:"step"`
	Undo  bool  `json:"undo,omitempty"`
}

// StepRecord is what the device durably knows about one step.
type StepRecord struct {
	State       State           `json:"state,omitempty"` // empty: pending
	Attempts    int             `json:"attempts,omitempty"`
	Interrupted int             `json:"interrupted,omitempty"`
	Failures    int             `json:"failures,omitempty"` // attempts that retry counts
	Idle        int             `json:"idle,omitempty"`     // attempts in which the kind has done nothing
	Millis      int64           `json:"millis,omitempty"`
	Reason      string          `json:"reason,omitempty"`
	Resumed     string          `json:"resumed,omitempty"`     // what was decided about the last interruption
	Boot        string          `json:"boot,omitempty"`        // the boot in which it was last begun
	Saved       json.RawMessage `json:"saved,omitempty"`       // the kind's own checkpoint
	CutExpected bool            `json:"cutExpected,omitempty"` // it was about to reboot the device, or to restart the agent
	Trial       bool            `json:"trial,omitempty"`       // its change is made and waits to be confirmed
	Trials      int             `json:"trials,omitempty"`      // trials that were cut
	Confirmed   bool            `json:"confirmed,omitempty"`   // its trial was passed; what is left is its kind's Confirm
	Undo        *UndoRecord     `json:"undo,omitempty"`
	Output      string          `json:"-"` // tail of the last attempt
	Result      json.RawMessage `json:"-"`
}

// UndoRecord counts what an Undo has cost so far.
type UndoRecord struct {
	Running     bool     `json:"running,omitempty"` // it has begun and not ended: a cut shows here
	Attempts    int      `json:"attempts"`
	Interrupted int      `json:"interrupted,omitempty"`
	Failures    int      `json:"failures,omitempty"`
	GivenUp     bool     `json:"givenUp,omitempty"` // it is never tried again
	Ran         Duration `json:"ran,omitzero"`      // running time of the attempts that ended
}

// NewRecord is the Record of a job that was just accepted, at its first commit.
// The store sets Seq.
func NewRecord(j Job, text []byte, now time.Time) Record {
	return Record{Key: j.ID, ID: j.ID, Job: j, Text: text, Digest: Digest(text),
		Rev: 1, State: Queued, Accepted: stamp(now), Steps: make([]StepRecord, j.Total())}
}

// Digest is the sha256 of a document's exact text, in lower-case hex.
func Digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// stamp truncates t to what documents and reports hold. Zero stays zero.
func stamp(t time.Time) Time {
	if t.IsZero() {
		return Time{}
	}
	return Time{t.UTC().Truncate(time.Second)}
}

// Cancel is the cause with which a context ends a job.
type Cancel struct{ Reason string }

func (c Cancel) Error() string { return "cancelled" }

// timeout is the cause with which a context ends an attempt that took too long.
type timeout struct {
	whose string
	after time.Duration
}

func (t timeout) Error() string { return fmt.Sprintf("%stimed out after %s", t.whose, t.after) }
