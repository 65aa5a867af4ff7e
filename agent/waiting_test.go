package agent

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/store"
)

// A change on trial was begun before an application said that no job may run
// now: its trial goes on, or it would be left as it is.
func TestATrialWaitsForNoInhibitor(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "")
	target, proof := filepath.Join(t.TempDir(), "conf"), filepath.Join(d.dir, "proof")
	if err := os.WriteFile(target, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.start().online(b)
	b.offer("device/gw-1", map[string]any{"id": "j1", "steps": []any{map[string]any{
		"name": "a", "file": map[string]any{"path": target, "content": "new"},
		"confirm": map[string]any{"within": "10m", "check": map[string]any{"file": proof}}}}})
	await(t, "the trial", func() bool { return d.onTrial("j1") })
	d.stop()
	d.inhibit()
	d.write("proof", "")
	b.forget()
	d.start()
	wantState(t, b.final("j1"), executor.Succeeded)
	if got := read(t, target); got != "new" {
		t.Errorf("the file holds %q, want new", got)
	}
}

// A job that may not begin now is refused once it has expired, not held for ever.
func TestAJobThatWaitsStillExpires(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "")
	d.inhibit()
	d.start().online(b)
	j := doc("j1", filepath.Join(d.dir, "ran"), "a")
	j["expires"] = time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	b.offer("device/gw-1", j)
	b.await(jobsTopic+"j1", func(p string) bool { return statusOf(p).State == executor.Waiting })
	d.clock.Start(time.Now().Add(2 * time.Hour))
	s := b.final("j1")
	if wantState(t, s, executor.Rejected); !strings.Contains(s.Reason, "expire") {
		t.Errorf("got reason %q, want that it has expired", s.Reason)
	}
}

// A job that ran before it expired keeps its outcome, also where only a line of
// the journal is left of it and the broker offers it once more.
func TestAJobThatSucceededIsNotRejectedLater(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	file := filepath.Join(d.dir, "ran")
	j := doc("j1", file, "a")
	j["expires"] = time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	b.offer("device/gw-1", j)
	wantState(t, b.final("j1"), executor.Succeeded)
	d.clock.Start(time.Now().Add(2 * time.Hour)) // the next commit keeps that
	b.offer("device/gw-1", doc("j2", file, "b"))
	wantState(t, b.final("j2"), executor.Succeeded)
	await(t, "the first to be only a line of the journal", func() bool { // once it is known that the broker has its outcome
		_, err := d.db.Prune(time.Now().Add(2*time.Hour), store.History{Count: 1})
		r, known, recordErr := d.db.Record("j1")
		return errors.Join(err, recordErr) == nil && known && len(r.Steps) == 0
	})
	d.stop()
	b.forget()
	d.start().online(b)
	b.offer("device/gw-1", doc("j3", file, "c")) // judged behind whatever came before
	wantState(t, b.final("j3"), executor.Succeeded)
	if s := statusOf(b.retained(jobsTopic + "j1")); s.State == executor.Rejected {
		t.Errorf("a job that succeeded is told as %s: %s", s.State, s.Reason)
	}
	if got := read(t, file); got != "a b c" {
		t.Errorf("ran %q, want each once", got)
	}
}

// How long a job still waits for its share of a spread is told as a moment: it
// need not be told again each time that the job is looked at.
func TestASpreadIsToldOnce(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	file := filepath.Join(d.dir, "ran")
	j := doc("j1", file, "a")
	j["spread"] = "10h"
	b.offer("device/gw-1", j)
	b.await(jobsTopic+"j1", func(p string) bool { return statusOf(p).State == executor.Waiting })
	for _, id := range []string{"j2", "j3", "j4"} { // after each the one that waits is looked at
		b.offer("device/gw-1", script(id, "sleep 1.1")) // for a moment told in seconds is another one then
		wantState(t, b.final(id), executor.Succeeded)
	}
	if said := b.saidOn(jobsTopic + "j1"); len(said) > 2 {
		t.Errorf("told %d times that it waits; last: %s", len(said), said[len(said)-1])
	}
}

// What a program on the device asks for needs no broker: a connection that was
// lost before its topics were quiet holds it up no longer than one that stands.
func TestLocalJobsWaitForNoLink(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start()
	await(t, "a connection", d.connected)
	b.stop() // before it is quiet: for that takes two seconds
	await(t, "the end of the connection", func() bool { return !d.connected() })
	file := filepath.Join(d.dir, "ran")
	d.submit(doc("local1", file, "a"))
	await(t, "the local job, offline", func() bool { return read(t, file) == "a" })
}

// A job that waits for the clock says so at once, also behind one that runs, and
// to those who ask on the device.
func TestAJobSaysAtOnceThatItWaitsForTheClock(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	d.clock.Start(time.Now().Add(48 * time.Hour)) // so the wall clock is known to be wrong
	begin := filepath.Join(d.dir, "go")
	b.offer("device/gw-1", script("long", "until test -e "+begin+"; do sleep 0.1; done"))
	b.await(jobsTopic+"long", func(p string) bool { return statusOf(p).State == executor.Running })
	for id, when := range map[string]map[string]any{
		"later":  {"notBefore": "2026-01-01T00:00:00Z"},
		"window": {"window": map[string]any{"cron": "* * * * *", "duration": "1m"}},
	} {
		j := doc(id, filepath.Join(d.dir, "ran"), "a")
		for k, v := range when {
			j[k] = v
		}
		b.offer("device/gw-1", j)
		want := "the clock is not set yet"
		b.await(jobsTopic+id, func(p string) bool {
			s := statusOf(p)
			return s.State == executor.Waiting && strings.Contains(s.Reason, want)
		})
		if s, err := d.job(id); err != nil || s.State != executor.Waiting || !strings.Contains(s.Reason, want) {
			t.Errorf("on the device job %s is %s (%s, %v), want waiting for the clock", id, s.State, s.Reason, err)
		}
	}
	d.write("go", "")
	wantState(t, b.final("long"), executor.Succeeded)
}

// In the steady state the log has, at info, how each job ended and that the link is
// back, and nothing else.
func TestTheLogHasHowJobsEndedAndThatTheLinkIsBack(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "")
	var log spill
	d.log = &log
	d.start().online(b)
	b.offer("device/gw-1", doc("good", filepath.Join(d.dir, "ran"), "a"))
	b.offer("device/gw-1", script("bad", "exit 3"))
	wantState(t, b.final("good"), executor.Succeeded)
	wantState(t, b.final("bad"), executor.Failed)
	await(t, "both in the log", func() bool { return strings.Count(log.String(), `msg="job ended"`) == 2 })
	b.stop()
	await(t, "the end of the connection", func() bool { return !d.connected() })
	b.start()
	await(t, "the link in the log", func() bool { return strings.Count(log.String(), `msg="connected to the broker"`) == 2 })
	d.stop()
	var info []string
	for line := range strings.Lines(log.String()) {
		if _, text, ok := strings.Cut(line, "level=INFO "); ok {
			info = append(info, strings.TrimSpace(text))
		}
	}
	for i, want := range []string{`msg="connected to the broker"`, `msg="job ended" job=`, `msg="job ended" job=`, `msg="connected to the broker"`} {
		if i >= len(info) || !strings.HasPrefix(info[i], want) || len(info) != 4 {
			t.Fatalf("line %d: want %s in\n%s", i, want, strings.Join(info, "\n"))
		}
	}
	for _, want := range []string{"job=good state=succeeded", "job=bad state=failed reason=\"step a: "} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%s is missing in\n%s", want, strings.Join(info, "\n"))
		}
	}
}
