package hub

import (
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"time"
)

// A Job calls a method of many devices, or patches their twins [jobs]. To a
// device these are an ordinary call and an ordinary patch.
type Job struct {
	ID        string          `json:"jobId"`
	Type      string          `json:"type"` // scheduleDeviceMethod or scheduleUpdateTwin
	Method    *Method         `json:"cloudToDeviceMethod,omitempty"`
	Update    json.RawMessage `json:"updateTwin,omitempty"` // {"properties": {"desired": {...}}, "tags": {...}}
	Condition string          `json:"queryCondition"`
	Start     time.Time       `json:"startTime"`
	MaxTime   int64           `json:"maxExecutionTimeInSeconds"`

	Status     string         `json:"status"` // scheduled, running, completed or cancelled
	Statistics map[string]int `json:"deviceJobStatistics"`
	left       []string       // devices that were not reached yet
	busy       bool
}

// Method is a call, in the words of the service [methods].
type Method struct {
	Name    string          `json:"methodName"`
	Payload json.RawMessage `json:"payload,omitempty"`
	Timeout int             `json:"responseTimeoutInSeconds,omitempty"` // 0: 30
	Connect int             `json:"connectTimeoutInSeconds,omitempty"`
}

var jobID = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

// Schedule takes a job [jobs]. Devices that are offline until its time is over
// count as failed.
func (h *Hub) Schedule(j Job) error {
	if !jobID.MatchString(j.ID) {
		return refuse(400, "ArgumentInvalid", "jobId %q", j.ID)
	}
	switch {
	case j.Type == "scheduleDeviceMethod" && j.Method != nil:
		if err := j.Method.check(); err != nil {
			return err
		}
	case j.Type == "scheduleUpdateTwin" && j.Update != nil:
	default:
		return refuse(400, "ArgumentInvalid", "type %q", j.Type)
	}
	if j.MaxTime <= 0 {
		j.MaxTime = 3600
	}
	where, err := parseCondition(j.Condition)
	if err != nil {
		return err
	}
	for _, d := range h.matching(where) {
		j.left = append(j.left, d["deviceId"].(string))
	}
	j.Status, j.Statistics = "scheduled", map[string]int{"deviceCount": len(j.left), "pendingCount": len(j.left)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.jobs[j.ID] != nil {
		return refuse(409, "JobAlreadyExists", "the jobId was used")
	}
	h.jobs[j.ID] = &j
	return nil
}

// Job returns how a job is doing.
func (h *Hub) Job(id string) (Job, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	j, ok := h.jobs[id]
	if !ok {
		return Job{}, refuse(404, "JobNotFound", "there is no job %q", id)
	}
	return j.shown(), nil
}

// Jobs are those of a type and a status, each of which may be empty, by id.
func (h *Hub) Jobs(kind, status string) []Job {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := []Job{}
	for _, id := range slices.Sorted(maps.Keys(h.jobs)) {
		if j := h.jobs[id]; (kind == "" || kind == j.Type) && (status == "" || status == j.Status) {
			list = append(list, j.shown())
		}
	}
	return list
}

func (j *Job) shown() Job {
	v := *j
	v.Statistics = maps.Clone(j.Statistics)
	return v
}

// CancelJob cancels a job that has not begun; one that runs cannot be [jobs].
func (h *Hub) CancelJob(id string) (Job, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	j, ok := h.jobs[id]
	switch {
	case !ok:
		return Job{}, refuse(404, "JobNotFound", "there is no job %q", id)
	case j.Status != "scheduled":
		return Job{}, refuse(400, "InvalidOperation", "the job is %s", j.Status)
	}
	j.Status = "cancelled"
	return j.shown(), nil
}

// workJobs reaches the devices of jobs whose time has come.
func (h *Hub) workJobs(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, j := range h.jobs {
		if j.Status == "completed" || j.Status == "cancelled" || j.busy || now.Before(j.Start) {
			continue
		}
		j.Status, j.busy = "running", true
		go h.workJob(j, now)
	}
}

func (h *Hub) workJob(j *Job, now time.Time) {
	late := !j.Start.IsZero() && now.Sub(j.Start) > time.Duration(j.MaxTime)*time.Second
	var left []string
	for _, id := range j.left {
		err := h.reach(id, j)
		h.mu.Lock()
		switch {
		case err == nil:
			j.Statistics["succeededCount"]++
		case late || !errors.Is(err, ErrOffline):
			j.Statistics["failedCount"]++
		default:
			left = append(left, id)
		}
		h.mu.Unlock()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	j.left, j.busy = left, false
	j.Statistics["pendingCount"] = len(left)
	if len(left) == 0 {
		j.Status = "completed"
	}
	if j.Start.IsZero() {
		j.Start = now
	}
}

// reach does to one device what the job wants. A method succeeds with any
// answer of the device: its status is for who asked.
func (h *Hub) reach(id string, j *Job) error {
	if j.Type == "scheduleDeviceMethod" {
		_, _, err := h.Call(id, *j.Method)
		return err
	}
	return h.Update(id, "", j.Update)
}
