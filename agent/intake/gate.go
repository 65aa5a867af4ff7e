package intake

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/jq"
)

// Hold says why the next step of a job may not begin now, or nothing.
func (i *Intake) Hold(r executor.Record) string {
	if r.State == executor.Queued {
		if reason := i.notYet(r); reason != "" {
			return reason
		}
	}
	if reason := i.outside(r.Job.Window); reason != "" {
		return reason
	}
	if reason := i.urlExpired(r); reason != "" {
		return reason
	}
	if reason := i.inhibited(); reason != "" && !r.Job.Force {
		return reason
	}
	if r.State == executor.Queued {
		return i.left(r)
	}
	return ""
}

// Foreseen says why a job that was just taken in will have to wait, whatever else
// runs, or nothing: so its status need not wait for its turn.
func (j *Judge) Foreseen(r executor.Record) string {
	if reason := j.notYet(r); reason != "" {
		return reason
	}
	return j.outside(r.Job.Window)
}

// notYet says why a job may not begin at all yet.
func (j *Judge) notYet(r executor.Record) string {
	now, job := j.Clock.Now(), r.Job
	if !job.NotBefore.IsZero() {
		if !j.Clock.Sane() {
			return "notBefore: the clock is not set yet"
		}
		if now.Before(job.NotBefore.Time) {
			return "notBefore " + job.NotBefore.Format(time.RFC3339)
		}
	}
	if left := j.spreadLeft(r); left > 0 {
		if at := j.Clock.Stamp(); !at.IsZero() {
			return "spread: begins at " + at.Add(left).UTC().Round(time.Minute).Format(time.RFC3339)
		}
		return "spread: begins later"
	}
	if job.Require != "" {
		return j.required(job.Require)
	}
	return ""
}

// spreadLeft is what is left of this device's share of the job's spread, from
// its acceptance or, where the clock did not say when that was, from the start.
// What a recurring job begins has the same share every time.
func (j *Judge) spreadLeft(r executor.Record) time.Duration {
	spread := time.Duration(r.Job.Spread)
	if spread <= 0 {
		return 0
	}
	name, _ := clock.FiredAs(r.ID)
	delay := clock.Share(name+"\n"+j.Config.Load().Device, spread)
	if r.Accepted.IsZero() {
		return delay - time.Since(j.Started)
	}
	return delay - j.Clock.Now().Sub(r.Accepted.Time)
}

// judgeFor bounds the time in which an expression is judged outside a step.
const judgeFor = 2 * time.Second

// required asks the job's health gate.
func (j *Judge) required(src string) string {
	ctx, cancel := context.WithTimeout(context.Background(), judgeFor)
	defer cancel()
	e, err := jq.Compile(src)
	if err != nil {
		return "require: " + err.Error()
	}
	input, err := jq.Input(j.Env())
	if err != nil {
		return "require: " + err.Error()
	}
	yes, err := e.Bool(ctx, input)
	switch {
	case err != nil:
		return "require: " + err.Error()
	case !yes:
		return "require: the board is not in that state"
	}
	return ""
}

// outside says so when the window is closed.
func (j *Judge) outside(w *executor.Window) string {
	if w == nil {
		return ""
	}
	if !j.Clock.Sane() {
		return "window: the clock is not set yet"
	}
	return clock.WindowClosed(w, j.Clock.Now())
}

// inhibited says why an application wants no job to run now: the text of the
// first file below inhibit in the state directory.
func (j *Judge) inhibited() string {
	dir := filepath.Join(j.Config.Load().State, "inhibit")
	files, err := os.ReadDir(dir)
	if err != nil || len(files) == 0 {
		return ""
	}
	name := files[0].Name()
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe must not be waited for
	if err != nil {
		return "inhibited by " + name
	}
	defer f.Close()
	text := make([]byte, 200)
	n, _ := f.Read(text)
	return strings.TrimSpace("inhibited by " + name + ": " + strings.TrimSpace(strings.ToValidUTF8(string(text[:n]), "")))
}
