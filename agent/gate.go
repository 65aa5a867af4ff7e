package agent

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

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
	now, j := a.clock.now(), r.Job
	if !j.NotBefore.IsZero() {
		if !a.clock.sane() {
			return "notBefore: the clock is not set yet"
		}
		if now.Before(j.NotBefore.Time) {
			return "notBefore " + j.NotBefore.Format(time.RFC3339)
		}
	}
	if left := a.spreadLeft(r); left > 0 {
		if at := a.clock.stamp(); !at.IsZero() {
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
	name, _ := firedAs(r.ID)
	delay := share(name+"\n"+a.config.Load().Device, spread)
	if r.Accepted.IsZero() {
		return delay - time.Since(a.started)
	}
	return delay - a.clock.now().Sub(r.Accepted.Time)
}

// share is a stable part of d for this name: the same at every call, evenly
// spread over names.
func share(name string, d time.Duration) time.Duration {
	sum := sha256.Sum256([]byte(name))
	return time.Duration(float64(d) * float64(binary.BigEndian.Uint32(sum[:4])) / (1 << 32))
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

// checkWindow tells whether a window can be understood.
func checkWindow(w *executor.Window) error {
	if w == nil {
		return nil
	}
	if len(strings.Fields(w.Cron)) != 5 || strings.Contains(w.Cron, "=") {
		return fmt.Errorf("window.cron: %q: want five fields, such as \"0 2 * * *\"; the time zone is tz", w.Cron)
	}
	_, err := opening(w)
	return err
}

// opening is when a window opens.
func opening(w *executor.Window) (timetable, error) {
	t, err := readTimetable(w.Cron, w.TZ)
	if err != nil {
		return t, fmt.Errorf("window: %w", err)
	}
	return t, nil
}

// outside says so when the window is closed.
func (a *Agent) outside(w *executor.Window) string {
	if w == nil {
		return ""
	}
	if !a.clock.sane() {
		return "window: the clock is not set yet"
	}
	return closed(w, a.clock.now())
}

// closed says so when the window is closed at that moment. It is open for its
// duration after each firing, so it is open now if it fired within that time.
func closed(w *executor.Window, now time.Time) string {
	t, err := opening(w)
	if err != nil {
		return err.Error()
	}
	if opened := t.next(now.Add(-time.Duration(w.Duration))); !opened.IsZero() && !opened.After(now) {
		return ""
	}
	return "window: opens " + t.next(now).In(t.zone).Format(time.RFC3339)
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
