package aws

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

// Bounds of the service.
const (
	maxValue   = 1024 // UTF-16 units of a value of statusDetails
	maxMinutes = 10080
	timerSlack = 2 // minutes: the service's timer must not be quicker than ours
)

// updateRequest is an UpdateJobExecution request. It names no expectedVersion: a
// lost answer would make every later update a mismatch.
type updateRequest struct {
	Status          string            `json:"status"`
	StatusDetails   map[string]string `json:"statusDetails,omitempty"`
	ExecutionNumber int64             `json:"executionNumber,omitempty"`
	StepTimeout     int64             `json:"stepTimeoutInMinutes,omitempty"`
	ClientToken     string            `json:"clientToken"`
}

// Status is one update of the job's execution. Nothing is told of a job that
// waits to begin, so that it stays QUEUED. A final state follows IN_PROGRESS
// only, so that is told first where the service may not know it.
func (d Dialect) Status(r dialect.Report) []dialect.Message {
	e, ok := executionOf(r.Record.Key)
	if !ok || r.Record.State == executor.Queued {
		return nil
	}
	s := dialect.NewStatus(d.Thing, r)
	u := updateRequest{Status: statusOf(s.State), ExecutionNumber: e.number, ClientToken: e.token(r.Record.Rev)}
	if s.State.Final() && s.State != executor.Rejected && !r.Taken {
		u.Status, u.ClientToken = "IN_PROGRESS", e.token(r.Record.Rev)+ahead
		return d.update(e, u)
	}
	if !r.Bare {
		u.StatusDetails = details(s, r)
	}
	if u.Status == "IN_PROGRESS" {
		u.StepTimeout = stepTimer(r)
	}
	return d.update(e, u)
}

func (d Dialect) update(e execution, u updateRequest) []dialect.Message {
	return []dialect.Message{{Topic: d.jobs(e.job + "/update"), Payload: dialect.Marshal(u)}}
}

// statusOf is the service's word. A device cannot report a cancel, and a
// timeout of its own is a failure.
func statusOf(s executor.State) string {
	switch s {
	case executor.Succeeded:
		return "SUCCEEDED"
	case executor.Rejected:
		return "REJECTED"
	case executor.Failed, executor.Cancelled:
		return "FAILED"
	}
	return "IN_PROGRESS"
}

// details are at most ten values: where the job is, and why.
func details(s dialect.JobStatus, r dialect.Report) map[string]string {
	d := map[string]string{"state": string(s.State), "reason": s.Reason}
	if c := s.Step; c != nil {
		d["step"], d["of"], d["name"] = strconv.Itoa(c.Index+1), strconv.Itoa(c.Of), c.Name
		d["attempt"] = strconv.Itoa(c.Attempt)
		if c.Progress > 0 {
			d["progress"] = strconv.FormatFloat(c.Progress, 'f', -1, 64)
		}
	}
	var o jobOrigin
	if json.Unmarshal(r.Record.Origin, &o) == nil && o.Stdout {
		d["stdout"] = outputs(s.Steps)
	}
	if len(s.Warnings) > 0 {
		d["warning"] = s.Warnings[len(s.Warnings)-1]
	}
	for name, value := range d {
		if d[name] = detail(value, name == "stdout"); d[name] == "" {
			delete(d, name)
		}
	}
	return d
}

func outputs(steps []dialect.StepStatus) string {
	var b strings.Builder
	for _, s := range steps {
		b.WriteString(s.Output)
	}
	return b.String()
}

// detail keeps of a text what the service takes: no control characters, no
// more than 1,024 characters. Of an output the end counts. Lines are put side
// by side.
func detail(text string, end bool) string {
	text = strings.ReplaceAll(strings.TrimSpace(text), "\n", " | ")
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(text, "?"))
	units := utf16.Encode([]rune(text))
	if len(units) <= maxValue {
		return text
	}
	if end {
		units = units[len(units)-maxValue:]
	} else {
		units = units[:maxValue]
	}
	return strings.Trim(string(utf16.Decode(units)), " \uFFFD") // half a pair
}

// stepTimer is after how many minutes the service gives the step up, should the
// device be dead by then; -1 removes an earlier step's timer.
func stepTimer(r dialect.Report) int64 {
	rec := r.Record
	if rec.State != executor.Running || r.Waiting != "" || rec.At.Step >= rec.Job.Total() {
		return -1
	}
	step := rec.Job.StepAt(rec.At.Step)
	limit := time.Duration(step.Timeout)
	if limit == 0 {
		limit = map[string]time.Duration{"command": time.Hour, "reboot": 10 * time.Minute}[step.Kind]
	}
	if limit == 0 {
		return -1
	}
	tries := float64(max(step.Retry.Attempts, 1))
	minutes := math.Ceil(limit.Minutes()*tries+time.Duration(step.Retry.Delay).Minutes()*(tries-1)) + timerSlack
	if minutes > maxMinutes {
		return -1 // no timer of the service is long enough
	}
	return int64(minutes)
}

// Tell asks how an execution stands, with a fresh document, and reports to
// Device Defender. Nothing else has a place here.
func (d Dialect) Tell(v any) []dialect.Message {
	switch v := v.(type) {
	case dialect.Ask:
		if e, ok := executionOf(v.Record.Key); ok {
			ask := map[string]any{"executionNumber": e.number, "includeJobDocument": true, "clientToken": e.token(0)}
			return []dialect.Message{{Topic: d.jobs(e.job + "/get"), Payload: dialect.Marshal(ask)}}
		}
	case dialect.Metrics:
		return []dialect.Message{{Topic: d.things("defender/metrics/json"), Payload: dialect.Marshal(metricsReport(v))}}
	}
	return nil
}
