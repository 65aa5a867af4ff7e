package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/rollout"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/serve/memory"
	"github.com/ratchetd/ratchet/executor"
)

// whereTime is how long picking devices may take.
const whereTime = 5 * time.Second

// atATime is how many devices are picked before what comes is let in again.
const atATime = 200

// A DeviceLine is one device in a list.
type DeviceLine struct {
	Device string          `json:"device"`
	State  string          `json:"state"` // online, offline or stale
	Since  executor.Time   `json:"since,omitzero"`
	Agent  string          `json:"agent,omitempty"`
	Alerts int             `json:"alerts"`
	Facts  json.RawMessage `json:"facts,omitempty"`
	Health json.RawMessage `json:"health,omitempty"`
	known  fleet.Known
	alert  string // one that it raises
	job    string // what it is at, or was last
}

func (s *Server) line(d *fleet.Device, now time.Time) DeviceLine {
	l := DeviceLine{Device: d.ID, State: s.Watcher.State(d, now), Since: d.Presence.Since, Agent: d.Presence.Agent, Alerts: len(d.Alerts), known: d.Known}
	if l.Agent == "" {
		l.Agent = d.Known.Agent
	}
	if json.Valid(d.Facts) {
		l.Facts = d.Facts
	}
	if json.Valid(d.Health) {
		l.Health = d.Health
	}
	for name := range d.Alerts {
		if l.alert == "" || name < l.alert {
			l.alert = name
		}
	}
	if jobs := d.JobLines(); len(jobs) > 0 {
		last := jobs[len(jobs)-1]
		l.job = last.Job + ": " + string(last.State)
	}
	return l
}

// picked calls take with the devices behind a cursor that a query picks, until it
// wants no more.
func (s *Server) picked(ctx context.Context, q *fleet.Query, after string, take func(*fleet.Device) bool) error {
	ctx, cancel := context.WithTimeout(ctx, whereTime)
	defer cancel()
	var all []*fleet.Device
	s.Watcher.View(func(f *fleet.Fleet) { all = f.Devices() })
	if after != "" {
		i, found := slices.BinarySearchFunc(all, after, func(d *fleet.Device, id string) int { return compare(d.ID, id) })
		if found {
			i++
		}
		all = all[i:]
	}
	listened := false
	for chunk := range slices.Chunk(all, atATime) {
		more := true
		s.Watcher.View(func(*fleet.Fleet) {
			listened = s.Watcher.Listened(time.Now())
			for _, d := range chunk {
				if more && q.Picks(d, listened) {
					more = take(d)
				}
			}
		})
		if !more {
			return nil
		}
		if ctx.Err() != nil {
			return problem{http.StatusRequestTimeout, fmt.Sprintf("where: picking took more than %v: ask for less", whereTime)}
		}
	}
	return nil
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (s *Server) listDevices(r *http.Request) (any, error) {
	q, err := fleet.ParseQuery(whereOf(r)...)
	if err != nil {
		return nil, bad("where: %v", err)
	}
	limit, err := limitOf(r)
	if err != nil {
		return nil, err
	}
	after, err := cursorOf(r)
	if err != nil {
		return nil, err
	}
	lines, l, now := []DeviceLine{}, list{}, time.Now()
	err = s.picked(r.Context(), q, after, func(d *fleet.Device) bool {
		if len(lines) == limit {
			l.Next = cursorFor(lines[limit-1].Device)
			return false
		}
		lines = append(lines, s.line(d, now))
		return true
	})
	l.Items, l.Note = lines, s.complete()
	return l, err
}

func whereOf(r *http.Request) []string {
	if text := r.FormValue("where"); text != "" {
		return []string{text}
	}
	return nil
}

// complete says whether the view is all that there is, and how old it is.
func (s *Server) complete() string {
	now := s.Watcher.Status()
	switch {
	case now.Since.IsZero():
		return "incomplete: the broker was not reached yet"
	case !now.Connected:
		return "as of " + now.Since.UTC().Format(time.RFC3339) + ": the broker is lost: " + now.Broker
	case now.Complete != "":
		return "incomplete: " + now.Complete
	}
	return "complete"
}

// A DeviceReport is all that is known of one device now.
type DeviceReport struct {
	DeviceLine
	Raised []dialect.Alert     `json:"raised"`
	Jobs   []dialect.JobStatus `json:"jobs"`
}

func (s *Server) oneDevice(r *http.Request) (any, error) {
	id := r.PathValue("device")
	report := DeviceReport{Raised: []dialect.Alert{}}
	there := false
	s.Watcher.View(func(f *fleet.Fleet) {
		d := f.Device(id)
		there = d.Said()
		report.DeviceLine, report.Jobs = s.line(d, time.Now()), slices.Clone(d.JobLines())
		for _, a := range d.Alerts {
			report.Raised = append(report.Raised, a)
		}
	})
	if !there {
		return nil, problem{http.StatusNotFound, fmt.Sprintf("nothing is known of a device %q", id)}
	}
	slices.SortFunc(report.Raised, func(a, b dialect.Alert) int { return compare(a.Name, b.Name) })
	return report, nil
}

func (s *Server) listJobs(r *http.Request) (any, error) {
	pick, err := itemPicker[*fleet.JobLine](r)
	if err != nil {
		return nil, err
	}
	l, err := paged(r, s.jobs(), jobKey, pick)
	l.Note = s.complete()
	return l, err
}

// jobs are all jobs, the newest first.
func (s *Server) jobs() (lines []*fleet.JobLine) {
	s.Watcher.View(func(f *fleet.Fleet) { lines = f.JobLines() })
	slices.SortFunc(lines, func(a, b *fleet.JobLine) int { return compare(jobKey(a), jobKey(b)) })
	return lines
}

// jobKey is the smaller the newer the job is.
func jobKey(l *fleet.JobLine) string {
	return fmt.Sprintf("%020d/%s", math.MaxInt64-max(0, l.Created.Unix()), l.Job)
}

func (s *Server) listRollouts(r *http.Request) (any, error) {
	pick, err := itemPicker[rollout.Document](r)
	if err != nil {
		return nil, err
	}
	return paged(r, s.rollouts(), func(d rollout.Document) string { return d.Job }, pick)
}

// rollouts are those that can be read, by job.
func (s *Server) rollouts() (all []rollout.Document) {
	s.Watcher.View(func(f *fleet.Fleet) {
		for job, payload := range f.Rollouts() {
			if d, err := rollout.Parse(job, payload); err == nil {
				all = append(all, d)
			}
		}
	})
	slices.SortFunc(all, func(a, b rollout.Document) int { return compare(a.Job, b.Job) })
	return all
}

// below is the number that a page of what has numbers begins below.
func below(r *http.Request) (int64, error) {
	key, err := cursorOf(r)
	if err != nil || key == "" {
		return math.MaxInt64, err
	}
	n, err := strconv.ParseInt(key, 10, 64)
	if err != nil {
		return 0, bad("cursor: want what next said")
	}
	return n, nil
}

// numbered gives a page of what has numbers, the newest first.
func numbered[T any](r *http.Request, number func(T) int64, read func(below int64, most int) ([]T, error)) (any, error) {
	pick, err := itemPicker[T](r)
	if err != nil {
		return nil, err
	}
	limit, err := limitOf(r)
	if err != nil {
		return nil, err
	}
	from, err := below(r)
	taken := []T{}
	for err == nil {
		var some []T
		if some, err = read(from, mostItems); err != nil || len(some) == 0 {
			return list{Items: taken}, err
		}
		for _, item := range some {
			yes, err := pick(item)
			if err != nil {
				return nil, err
			}
			if from = number(item); yes {
				taken = append(taken, item)
			}
			if len(taken) == limit {
				return list{Items: taken, Next: cursorFor(strconv.FormatInt(from, 10))}, nil
			}
		}
		err = r.Context().Err()
	}
	return nil, err
}

func (s *Server) listAlerts(r *http.Request) (any, error) {
	return numbered(r, func(a memory.Alert) int64 { return a.ID }, func(below int64, most int) ([]memory.Alert, error) {
		return s.Memory.Alerts(r.Context(), r.FormValue("device"), below, most)
	})
}

func (s *Server) listActions(r *http.Request) (any, error) {
	return numbered(r, func(a memory.Action) int64 { return a.ID }, func(below int64, most int) ([]memory.Action, error) {
		return s.Memory.Actions(r.Context(), below, most)
	})
}
