package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor/jq"
)

// A Device is what one device says of itself.
type Device struct {
	ID       string
	Presence dialect.Presence
	Facts    json.RawMessage // as published, perhaps no JSON; empty when there are none
	Known    Known
	Jobs     map[string]dialect.JobStatus
}

// Known are the facts that the tool reads itself; jq sees all of them.
type Known struct {
	Groups []string          `json:"groups"`
	Tags   map[string]string `json:"tags"`
	Agent  string            `json:"agent"`
	Board  struct {
		Arch  string `json:"arch"`
		Model string `json:"model"`
	} `json:"board"`
}

func (d *Device) takeFacts(payload []byte) {
	d.Facts, d.Known = bytes.Clone(payload), Known{}
	_ = json.Unmarshal(payload, &d.Known) // what is of another type stays empty
}

// takeStatus keeps the highest rev; of equal ones the later counts.
func (d *Device) takeStatus(job string, payload []byte) (dialect.JobStatus, bool) {
	var s dialect.JobStatus
	if len(payload) == 0 {
		delete(d.Jobs, job)
		return s, false
	}
	if json.Unmarshal(payload, &s) != nil || s.Rev < d.Jobs[job].Rev {
		return s, false
	}
	s.Job, s.Device = job, d.ID // the topic is what the broker has checked
	d.Jobs[job] = s
	return s, true
}

// Meets reports whether a jq expression is true of the device's facts.
func (d *Device) Meets(e *jq.Expr) (bool, error) {
	if len(d.Facts) == 0 {
		return false, errors.New("no facts are known")
	}
	input, err := jq.Input(d.Facts)
	if err != nil {
		return false, err
	}
	return e.Bool(context.Background(), input) // Eval bounds itself
}
