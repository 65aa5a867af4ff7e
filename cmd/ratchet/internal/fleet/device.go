package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

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
	Alerts   map[string]dialect.Alert // those that are raised, by name
	Health   json.RawMessage          // the last sample that came while somebody listened; perhaps no JSON

	live bool // something came while somebody listened

	hasState bool
	weights  map[string]int // of Jobs
	heavy    map[string]int // of Alerts
	weight   int            // of all of them
}

// Said reports whether the device has ever said anything that is still there. One
// of which that is not so is known by an offer only.
func (d *Device) Said() bool {
	return d.hasState || len(d.Facts) > 0 || len(d.Jobs) > 0 || len(d.Alerts) > 0
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

func (d *Device) applyFacts(payload []byte) {
	d.Facts, d.Known = bytes.Clone(payload), Known{}
	_ = json.Unmarshal(payload, &d.Known) // what is of another type stays empty
}

// applyStatus keeps the highest rev; of equal ones the later counts. A status
// that is no news has no job; why says what is wrong with it, if anything is.
func (d *Device) applyStatus(job string, payload []byte) (s dialect.JobStatus, why string) {
	if len(payload) == 0 {
		d.keep(job, nil, 0)
		return s, ""
	}
	if json.Unmarshal(payload, &s) != nil || s.Rev < d.Jobs[job].Rev {
		return dialect.JobStatus{}, ""
	}
	heavy := weight(job, payload, s)
	_, known := d.Jobs[job]
	switch {
	case !known && len(d.Jobs) >= maxJobs:
		why = fmt.Sprintf("the device has reported more than %d jobs", maxJobs)
	case d.weight-d.weights[job]+heavy > maxWeight:
		why = fmt.Sprintf("the device's reports take more than %d MB", maxWeight>>20)
	default:
		s.Job, s.Device = job, d.ID // the topic is what the broker has checked
		d.keep(job, &s, heavy)
		return s, ""
	}
	return dialect.JobStatus{}, why
}

// lastSample is the newest of one sample or several.
func lastSample(payload []byte) json.RawMessage {
	var several []json.RawMessage
	if json.Unmarshal(payload, &several) == nil && len(several) > 0 {
		return bytes.Clone(several[len(several)-1])
	}
	return bytes.Clone(payload)
}

// keep puts a status in the place of the last one; nil takes that away.
func (d *Device) keep(job string, s *dialect.JobStatus, heavy int) {
	d.weight += heavy - d.weights[job]
	if s == nil {
		delete(d.Jobs, job)
		delete(d.weights, job)
		return
	}
	d.Jobs[job], d.weights[job] = *s, heavy
}

// applyAlert keeps an alert while it is raised. Why says what is wrong with it, if
// anything is.
func (d *Device) applyAlert(name string, payload []byte) (why string) {
	var a dialect.Alert
	raised := json.Unmarshal(payload, &a) == nil && a.State == dialect.AlertRaised
	heavy := 0
	if raised {
		heavy = len(name) + len(payload) + alertWeight
	}
	_, known := d.Alerts[name]
	switch {
	case raised && !known && len(d.Alerts) >= maxAlerts:
		return fmt.Sprintf("the device has raised more than %d alerts", maxAlerts)
	case d.weight-d.heavy[name]+heavy > maxWeight:
		return fmt.Sprintf("the device's reports take more than %d MB", maxWeight>>20)
	}
	d.weight += heavy - d.heavy[name]
	if !raised {
		delete(d.Alerts, name)
		delete(d.heavy, name)
		return ""
	}
	if d.Alerts == nil {
		d.Alerts, d.heavy = map[string]dialect.Alert{}, map[string]int{}
	}
	a.Name, a.Device = name, d.ID // the topic is what the broker has checked
	d.Alerts[name], d.heavy[name] = a, heavy
	return ""
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
