package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/local"
	"github.com/ratchetd/ratchet/executor"
)

// showStatus writes a Status for people.
func showStatus(w io.Writer, v json.RawMessage) error {
	var s local.Status
	if err := json.Unmarshal(v, &s); err != nil {
		return err
	}
	t := &table{w: w}
	fmt.Fprintf(t, "device\t%s\tratchetd %s, up %s\n", s.Device, s.Agent, ago(s.Uptime))
	fmt.Fprintf(t, "link\t%s\t%s\n", s.Link.Broker, s.Link.String())
	fmt.Fprintf(t, "journal\t%s\t%d of %d KiB used\n", bar(float64(s.Journal.Used)/float64(max(s.Journal.Bound, 1))), s.Journal.Used>>10, s.Journal.Bound>>10)
	fmt.Fprintf(t, "clock\t%s\t%s: %s\n", s.Clock.Now.Format(showTime), map[bool]string{true: "sane", false: "not set yet"}[s.Clock.Sane], s.Clock.Why)
	showHealth(t, s)
	for _, a := range s.Alerts {
		fmt.Fprintf(t, "alert\t%s\t%s\n", a.Name, alertWords(a))
	}
	for _, p := range s.Schedules {
		fmt.Fprintf(t, "schedule\t%s\t%s\n", p.Name, scheduleWords(p))
	}
	showUnfinished(t, s)
	return t.Flush()
}

// showTime is how times are shown, with the offset of the board's time zone.
const showTime = "2006-01-02 15:04:05 -07:00"

// showUnfinished writes the unfinished jobs; those that recur stand among the schedules.
func showUnfinished(w io.Writer, s local.Status) {
	n := 0
	for _, j := range s.Jobs {
		if slices.ContainsFunc(s.Schedules, func(p local.ScheduleStatus) bool { return p.Name == j.Job }) {
			continue
		}
		n++
		fmt.Fprintf(w, "job\t%s\t%s\n", j.Job, progressWords(j))
		if j.Step != nil && j.Step.Progress > 0 {
			fmt.Fprintf(w, "\t%s\t%.0f %%\n", bar(j.Step.Progress), 100*j.Step.Progress)
		}
	}
	if n == 0 {
		fmt.Fprintln(w, "job\tnone\t")
	}
}

func alertWords(a dialect.Alert) string {
	words := a.Severity + ": " + a.Rule
	if len(a.Value) > 0 {
		words += ": " + string(a.Value)
	}
	if !a.Since.IsZero() {
		words += ", since " + a.Since.Format(time.RFC3339)
	}
	return words
}

func scheduleWords(s local.ScheduleStatus) string {
	var words []string
	if !s.Next.IsZero() {
		words = append(words, "next at "+s.Next.Format(showTime))
	}
	if s.Last != "" {
		words = append(words, fmt.Sprintf("%s %s", s.Last, s.Was))
	}
	if s.Why != "" {
		words = append(words, s.Why)
	}
	return strings.Join(words, "; ")
}

func showHealth(w io.Writer, s local.Status) {
	h := s.Health
	if h == nil {
		return
	}
	if h.CPU != nil {
		of := fmt.Sprintf("on %d cores", h.CPU.Cores)
		if h.Load != nil {
			of += fmt.Sprintf(", load %.2f", h.Load.M1)
		}
		if h.CPU.Celsius != nil {
			of += fmt.Sprintf(", %.0f degrees C", *h.CPU.Celsius)
		}
		showPercent(w, "cpu", h.CPU.Percent, of)
	}
	if h.Memory != nil {
		showPercent(w, "memory", h.Memory.Percent, fmt.Sprintf("of %d MB", h.Memory.Total/1e6))
	}
	for _, d := range h.Disk {
		showPercent(w, "disk", d.Percent, fmt.Sprintf("of %d MB, %s", d.Total/1e6, d.Path))
	}
}

// showPercent writes a share with its bar; one that could not be read is left out.
func showPercent(w io.Writer, name string, percent *float64, of string) {
	if percent != nil {
		fmt.Fprintf(w, "%s\t%s\t%.0f %% %s\n", name, bar(*percent/100), *percent, of)
	}
}

// bar draws a fraction.
func bar(fraction float64) string {
	full := int(min(max(fraction, 0), 1)*10 + 0.5)
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", 10-full) + "]"
}

func ago(seconds int64) string { return (time.Duration(seconds) * time.Second).String() }

// showJobs writes a table of job statuses.
func showJobs(w io.Writer, list []json.RawMessage) error {
	t := &table{w: w}
	fmt.Fprintln(t, "JOB\tSTATE\tREV\tWHAT")
	for _, v := range list {
		var s dialect.JobStatus
		if err := json.Unmarshal(v, &s); err != nil {
			return err
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\n", s.Job, s.State, s.Rev, detail(s))
	}
	return t.Flush()
}

// showJob writes one job status with its steps.
func showJob(w io.Writer, v json.RawMessage) error {
	var s dialect.JobStatus
	if err := json.Unmarshal(v, &s); err != nil {
		return err
	}
	fmt.Fprintln(w, s.Job, progressWords(s))
	t := &table{w: w}
	fmt.Fprintln(t, "STEP\tSTATE\tATTEMPTS\tINTERRUPTED\tTIME\tREASON")
	for _, p := range s.Steps {
		took := (time.Duration(p.Millis) * time.Millisecond).Round(time.Millisecond)
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%s\t%s\n", p.Name, p.State, p.Attempts, p.Interrupted, took, p.Reason)
	}
	return t.Flush()
}

// showProgress writes one line for a job that is watched.
func showProgress(w io.Writer, v json.RawMessage) error {
	var s dialect.JobStatus
	if err := json.Unmarshal(v, &s); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, s.Job, progressWords(s))
	return err
}

// jobSucceeded reports whether a job status is that of a job that succeeded.
func jobSucceeded(v json.RawMessage) bool {
	var s dialect.JobStatus
	return json.Unmarshal(v, &s) == nil && s.State == executor.Succeeded
}

func progressWords(s dialect.JobStatus) string {
	return strings.TrimSpace(string(s.State) + " " + detail(s))
}

// detail is the reason, or the step under way.
func detail(s dialect.JobStatus) string {
	if failed := s.Tolerated(); failed != "" {
		return "though " + failed
	}
	if s.Step == nil || s.Reason != "" {
		return s.Reason
	}
	words := fmt.Sprintf("step %d of %d, %s", s.Step.Index+1, s.Step.Of, cmp.Or(s.Step.Name, s.Step.Kind))
	if s.Step.Progress > 0 {
		words += fmt.Sprintf(", %.0f %%", 100*s.Step.Progress)
	}
	return words
}
