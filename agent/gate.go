package agent

import (
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
func (g gate) Hold(r executor.Record) string {
	if r.State == executor.Queued {
		if reason := g.agent.notYet(r); reason != "" {
			return reason
		}
	}
	if reason := g.agent.outside(r.Job.Window); reason != "" {
		return reason
	}
	if reason := g.agent.urlExpired(r); reason != "" {
		return reason
	}
	if r.Job.Force {
		return ""
	}
	return g.agent.inhibited()
}

// notYet says why a job may not begin at all yet.
func (a *Agent) notYet(r executor.Record) string {
	now, j := a.clock.Now(), r.Job
	if !j.NotBefore.IsZero() {
		if !a.clock.Sane() {
			return "notBefore: the clock is not set yet"
		}
		if now.Before(j.NotBefore.Time) {
			return "notBefore " + j.NotBefore.Format(time.RFC3339)
		}
	}
	if left := a.spreadLeft(r); left > 0 {
		if at := a.clock.Stamp(); !at.IsZero() {
			return "spread: begins at " + at.Add(left).UTC().Round(time.Minute).Format(time.RFC3339)
		}
		return "spread: begins later"
	}
	if j.Require != "" {
		return a.required(j.Require)
	}
	return ""
}

// spreadLeft is what is left of this device's share of the job's spread, from
// its acceptance or, where the clock did not say when that was, from the start.
// What a recurring job begins has the same share every time.
func (a *Agent) spreadLeft(r executor.Record) time.Duration {
	spread := time.Duration(r.Job.Spread)
	if spread <= 0 {
		return 0
	}
	name, _ := clock.FiredAs(r.ID)
	delay := clock.Share(name+"\n"+a.config.Load().Device, spread)
	if r.Accepted.IsZero() {
		return delay - time.Since(a.started)
	}
	return delay - a.clock.Now().Sub(r.Accepted.Time)
}

// required holds the job's health gate.
func (a *Agent) required(src string) string {
	ctx, cancel := a.judging()
	defer cancel()
	e, err := jq.Compile(src)
	if err != nil {
		return "require: " + err.Error()
	}
	input, err := jq.Input(a.env())
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
func (a *Agent) outside(w *executor.Window) string {
	if w == nil {
		return ""
	}
	if !a.clock.Sane() {
		return "window: the clock is not set yet"
	}
	return clock.WindowClosed(w, a.clock.Now())
}

// inhibited says why an application wants no job to run now: the text of the
// first file below inhibit in the state directory.
func (a *Agent) inhibited() string {
	dir := filepath.Join(a.config.Load().State, "inhibit")
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
