package serve

import (
	"fmt"
	"net/http"
	"time"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/serve/memory"
	"github.com/ratchetd/ratchet/executor"
)

// A HealthReport is what a device felt: a row of numbers for each time, which is in
// seconds since 1970. What was not measured is null.
type HealthReport struct {
	Device  string    `json:"device"`
	Step    float64   `json:"step"`    // seconds from one row to the next; where there is more the device was away
	Columns []string  `json:"columns"` // of the rows
	Rows    [][]any   `json:"rows"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
}

const (
	longestSpan = 366 * 24 * time.Hour
	plotPoints  = 1000
)

func (s *Server) oneHealth(r *http.Request) (any, error) {
	span := time.Hour
	if text := r.FormValue("span"); text != "" {
		var err error
		if span, err = time.ParseDuration(text); err != nil || span < time.Minute || span > longestSpan {
			return nil, bad("span %q: want 1m to 8784h", text)
		}
	}
	id := r.FormValue("device")
	if !executor.ValidDevice(id) {
		return nil, bad("device %q: want 1 to 64 of A-Z a-z 0-9 _ . -", id)
	}
	to := time.Now().UTC().Truncate(time.Second).Add(time.Second)
	points, step, err := s.Memory.Health(r.Context(), id, to.Add(-span), to, plotPoints)
	h := HealthReport{Device: id, Step: step.Seconds(), Columns: append([]string{"time"}, memory.Figures()...), Rows: [][]any{}, From: to.Add(-span), To: to}
	for _, p := range points {
		row := []any{p.At.Unix()}
		for _, v := range p.Values {
			row = append(row, v)
		}
		h.Rows = append(h.Rows, row)
	}
	return h, err
}

// A JobReport is how one job stands over the fleet.
type JobReport struct {
	Job      string           `json:"job"`
	To       []string         `json:"to"`
	States   fleet.Counts     `json:"states"`
	Silent   int              `json:"silent"` // devices that it reaches and that have not answered
	Steps    []fleet.StepLine `json:"steps"`
	Failures []fleet.Failure  `json:"failures"`
	Waits    []fleet.Wait     `json:"waits"`
	Devices  []JobDevice      `json:"devices"` // those where it failed first; at most 500
	Signed   bool             `json:"signed"`
}

// A JobDevice is how the job stands on one device.
type JobDevice struct {
	Device string         `json:"device"`
	Online bool           `json:"online"`
	State  executor.State `json:"state,omitempty"` // none where it has not answered
	Reason string         `json:"reason,omitempty"`
	Waits  string         `json:"waits,omitempty"`
	Done   float64        `json:"done"` // 0 to 1
}

func (s *Server) oneJob(r *http.Request) (any, error) {
	report, ok := s.job(r.PathValue("job"))
	if !ok {
		return nil, problem{http.StatusNotFound, fmt.Sprintf("no job %q is offered or reported", r.PathValue("job"))}
	}
	return report, nil
}

// job looks at one job; ok says that there is one.
func (s *Server) job(id string) (report JobReport, ok bool) {
	s.Watcher.View(func(f *fleet.Fleet) {
		j := f.Job(id)
		rows := j.Rows(time.Now())
		report = JobReport{Job: id, To: []string{}, States: fleet.Count(rows), Steps: j.Steps(rows), Failures: j.Failures(rows), Waits: j.Unfinished(rows), Devices: []JobDevice{}}
		for to, o := range j.Offers(id) {
			report.To = append(report.To, to)
			report.Signed = report.Signed || o.Signature != ""
		}
		report.list(rows)
		ok = len(report.To)+len(rows) > 0
	})
	return report, ok
}

// list adds the devices, those where it failed first.
func (j *JobReport) list(rows []fleet.Row) {
	for _, pass := range []func(fleet.Row) bool{
		func(r fleet.Row) bool { return r.Bad() },
		func(r fleet.Row) bool { return !r.Final() },
		func(r fleet.Row) bool { return r.Final() && !r.Bad() },
	} {
		for _, r := range rows {
			if !pass(r) {
				continue
			}
			if !r.Answered {
				j.Silent++
			}
			if len(j.Devices) < mostItems {
				d := JobDevice{Device: r.Device, Online: r.Online, State: r.Status.State, Reason: r.Status.Reason, Done: r.Fraction()}
				if !r.Final() {
					d.Waits = r.WaitsFor()
				}
				j.Devices = append(j.Devices, d)
			}
		}
	}
}

func (s *Server) passages(r *http.Request) (any, error) {
	all, err := s.Memory.Passages(r.Context(), r.PathValue("device"), r.PathValue("job"), mostItems)
	return list{Items: all}, err
}
