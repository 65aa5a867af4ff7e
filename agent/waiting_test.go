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
