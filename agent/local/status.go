package local

import (
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/telemetry"
)

// Status is how the agent is, for the local socket.
type Status struct {
	Device    string              `json:"device"`
	Agent     string              `json:"agent"`
	Uptime    int64               `json:"uptime"` // of the agent, in seconds
	Link      LinkStatus          `json:"link"`
	Journal   JournalStatus       `json:"journal"`
	Clock     clock.Status        `json:"clock"`
	Jobs      []dialect.JobStatus `json:"jobs,omitempty"` // unfinished ones
	Schedules []ScheduleStatus    `json:"schedules,omitempty"`
	Alerts    []dialect.Alert     `json:"alerts,omitempty"`
	Health    *telemetry.Sample   `json:"health,omitempty"`
}

// LinkStatus is how the connection to the broker is.
type LinkStatus struct {
	Broker    string `json:"broker"`
	Connected bool   `json:"connected"`
	For       int64  `json:"for"` // seconds
	Err       string `json:"error,omitempty"`
}

// Cancelled answers a cancel: one of a job that is not known is remembered.
type Cancelled struct {
	ID    string `json:"id"`
	Known bool   `json:"known"`
}

// Submitted answers a submit: a job that was known is not judged, nor begun again.
type Submitted struct {
	dialect.JobStatus
	Known bool `json:"known,omitempty"`
}

// JournalStatus is how full the journal is, in bytes.
type JournalStatus struct {
	Used   int64  `json:"used"`
	Bound  int64  `json:"bound"`
	Broken string `json:"broken,omitempty"` // why an earlier one was set aside
}

// ScheduleStatus is how one schedule is.
type ScheduleStatus struct {
	Name string         `json:"name"`
	Next time.Time      `json:"next,omitzero"`  // in the board's own time zone
	Why  string         `json:"why,omitempty"`  // nothing is begun, or was not the last time
	Last string         `json:"last,omitempty"` // the job that was begun last
	Was  executor.State `json:"was,omitempty"`  // how that is
}

// String says in words how the link is.
func (l LinkStatus) String() string {
	lasts := (time.Duration(l.For) * time.Second).String()
	if l.Connected {
		return strings.TrimSuffix("connected for "+lasts+", but "+l.Err, ", but ")
	}
	return strings.TrimSuffix("not connected for "+lasts+": "+l.Err, ": ")
}
