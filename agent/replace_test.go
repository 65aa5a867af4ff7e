package agent

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aead.dev/minisign"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/store"
)

// envelope is a job's document in an envelope with a rollout.
func envelope(t *testing.T, job map[string]any, to executor.Rollout) string {
	return string(dialect.Envelope{Job: string(text(t, job)), Rollout: &to}.Payload())
}

// waiting offers a job that an application holds back, and returns when the broker
// knows that it waits.
func (d *device) waiting(b *broker, offer string) {
	d.t.Helper()
	d.inhibit()
	b.forget()
	b.retain("ratchet/v1/jobs/all/j1", offer)
	b.await(jobsTopic+"j1", func(p string) bool { return statusOf(p).State == executor.Waiting })
}

// wantWithdrawn waits until the broker has no status of j1 any more, lets jobs run and
// has another one run behind whatever else may.
func (d *device) wantWithdrawn(b *broker, file string) {
	d.t.Helper()
	await(d.t, "the end of the status", func() bool { return b.retained(jobsTopic+"j1") == "" })
	d.remove("state/inhibit/app")
	b.offer("device/gw-1", doc("j9", file, "last"))
	wantState(d.t, b.final("j9"), executor.Succeeded)
	if got := read(d.t, file); got != "last" {
		d.t.Errorf("ran %q, want the last alone", got)
	}
	if d.alerted("id-reused") {
		d.t.Error("the alert id-reused is raised")
	}
}

// A device that holds a job which has not begun, and was away while another document
// took its place, runs what is offered now.
func TestAJobThatHasNotBegunGivesWay(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	file := filepath.Join(d.dir, "ran")
	d.waiting(b, string(text(t, doc("j1", file, "old"))))
	d.stop()
	b.retain("ratchet/v1/jobs/all/j1", string(text(t, doc("j1", file, "older"))))
	b.retain("ratchet/v1/jobs/all/j1", string(text(t, doc("j1", file, "new"))))
	d.remove("state/inhibit/app")
	b.forget()
	d.start()
	s := b.final("j1")
	wantState(t, s, executor.Succeeded)
	if got := read(t, file); got != "new" || s.Steps[0].Name != "new" {
		t.Errorf("ran %q, told of %s; want new alone", got, s.Steps[0].Name)
	}
	if d.alerted("id-reused") {
		t.Error("the alert id-reused is raised")
	}
}

// What a broker's session delivers is what was queued first. The newest offer is
// the last, and it is what runs.
func TestOfTwoQueuedOffersTheNewerRuns(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	file := filepath.Join(d.dir, "ran")
	d.stop()
	b.offer("device/gw-1", doc("j1", file, "old"))
	b.offer("device/gw-1", doc("j1", file, "new"))
	d.start()
	wantState(t, b.final("j1"), executor.Succeeded)
	if got := read(t, file); got != "new" || d.alerted("id-reused") {
		t.Errorf("ran %q, id-reused raised: %v; want new alone, and no alert", got, d.alerted("id-reused"))
	}
}

// A document on another topic takes nothing's place: it has an id that is used.
func TestOnlyAnOfferOnItsTopicTakesAJobsPlace(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	file := filepath.Join(d.dir, "ran")
	d.waiting(b, string(text(t, doc("j1", file, "a"))))
	b.offer("device/gw-1", doc("j1", file, "other"))
	b.await(alertsTopic+"id-reused", raised)
	d.remove("state/inhibit/app")
	wantState(t, b.final("j1"), executor.Succeeded)
	if got := read(t, file); got != "a" {
		t.Errorf("ran %q, want a", got)
	}
}

// A document that is refused leaves none of the one whose place it took.
func TestARefusedDocumentTakesTheJobsPlaceToo(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	file := filepath.Join(d.dir, "ran")
	d.waiting(b, string(text(t, doc("j1", file, "a"))))
	b.retain("ratchet/v1/jobs/all/j1", `{"id":"j1","steps":[{"name":"a","comand":{}}]}`)
	s := b.final("j1")
	if wantState(t, s, executor.Rejected); !strings.Contains(s.Reason, "comand") {
		t.Errorf("got reason %q", s.Reason)
	}
	d.remove("state/inhibit/app")
	b.offer("device/gw-1", doc("j9", file, "last"))
	wantState(t, b.final("j9"), executor.Succeeded)
	if got := read(t, file); got != "last" {
		t.Errorf("ran %q, want the last alone", got)
	}
}

// A rollout that became narrower withdraws what has not begun; wider again, the job
// comes back.
func TestANarrowerRolloutWithdrawsAJob(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	file := filepath.Join(d.dir, "ran")
	job := doc("j1", file, "a")
	d.waiting(b, envelope(t, job, executor.Rollout{Where: `.tags.site == "berlin"`}))
	b.retain("ratchet/v1/jobs/all/j1", envelope(t, job, executor.Rollout{Where: `.tags.site == "bonn"`}))
	d.wantWithdrawn(b, file)
	b.retain("ratchet/v1/jobs/all/j1", envelope(t, job, executor.Rollout{Percent: 100}))
	wantState(t, b.final("j1"), executor.Succeeded)
}

// Facts that changed withdraw what has not begun.
func TestOtherFactsWithdrawAJob(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	file := filepath.Join(d.dir, "ran")
	job := doc("j1", file, "a")
	job["target"] = `.tags.site == "berlin"`
	d.waiting(b, string(text(t, job)))
	d.write("conf.d/site.toml", "[tags]\nsite = \"bonn\"\n")
	d.reload()
	d.wantWithdrawn(b, file)
}

// They do so without a broker as well.
func TestOtherFactsWithdrawAJobOffline(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	file := filepath.Join(d.dir, "ran")
	job := doc("j1", file, "a")
	job["target"] = `.tags.site == "berlin"`
	d.waiting(b, string(text(t, job)))
	d.stop()
	b.stop()
	d.write("conf.d/site.toml", "[tags]\nsite = \"bonn\"\n")
	d.remove("state/inhibit/app")
	d.start()
	d.submit(doc("j9", file, "last"))
	await(t, "the end of the job", func() bool { _, known, err := d.db.Known("j1"); return err == nil && !known })
	await(t, "the job behind it", func() bool { return read(t, file) != "" })
	if got := read(t, file); got != "last" {
		t.Errorf("ran %q, want the last alone", got)
	}
}

// Where jobs are signed, what was signed earlier takes no place: a broker cannot bring
// an older document back.
func TestAnOlderSignatureTakesNoJobsPlace(t *testing.T) {
	b := newBroker(t)
	public, key, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	d := newDevice(t, b, fmt.Sprintf("[policy]\nkeys = [%q]", public.String())).start().online(b)
	file := filepath.Join(d.dir, "ran")
	offer := func(step string, at time.Time) string {
		job := doc("j1", file, step)
		job["expires"], job["audience"] = time.Now().Add(time.Hour).UTC().Format(time.RFC3339), []string{"all"}
		doc := string(text(t, job))
		return string(dialect.Envelope{Job: doc, Signature: signature(key, doc, at)}.Payload())
	}
	now := time.Now().Add(-time.Hour)
	d.waiting(b, offer("first", now))
	b.retain("ratchet/v1/jobs/all/j1", offer("second", now.Add(time.Minute)))
	await(t, "the second", func() bool { r, _, err := d.db.Record("j1"); return err == nil && r.Rev == 2 })
	if d.alerted("id-reused") {
		t.Error("the second document raised the alert id-reused")
	}
	b.retain("ratchet/v1/jobs/all/j1", offer("older", now.Add(-time.Minute)))
	b.await(alertsTopic+"id-reused", raised)
	d.remove("state/inhibit/app")
	wantState(t, b.final("j1"), executor.Succeeded)
	if got := read(t, file); got != "second" {
		t.Errorf("ran %q, want second", got)
	}
}

// A cancel that the device refuses took the place of the offer: whoever sent it sees in
// the job's status that it does nothing, and why, also when the job is over.
func TestARefusedCancelIsSeenInTheStatus(t *testing.T) {
	b := newBroker(t)
	public, key, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	d := newDevice(t, b, fmt.Sprintf("[policy]\nkeys = [%q]", public.String())).start().online(b)
	job := doc("j1", filepath.Join(d.dir, "ran"), "a")
	job["expires"], job["audience"] = time.Now().Add(time.Hour).UTC().Format(time.RFC3339), []string{"all"}
	doc := string(text(t, job))
	d.waiting(b, string(dialect.Envelope{Job: doc, Signature: signature(key, doc, time.Now())}.Payload()))
	b.retain("ratchet/v1/jobs/all/j1", `{"id":"j1","cancel":true}`)
	warns := func(p string) bool {
		w := statusOf(p).Warnings
		return len(w) == 1 && strings.HasPrefix(w[0], "a cancel was refused: signature: policy.keys is set")
	}
	b.await(jobsTopic+"j1", func(p string) bool { return warns(p) && statusOf(p).State == executor.Waiting })
	d.remove("state/inhibit/app")
	b.await(jobsTopic+"j1", func(p string) bool { return warns(p) && statusOf(p).State == executor.Succeeded })
}

// What takes the place of a job that waits may recur: its steps do not begin before it is
// due. And what recurred may become a job that runs once.
func TestAJobThatWaitsGivesWayToOneThatRecurs(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	file := filepath.Join(d.dir, "ran")
	d.waiting(b, string(text(t, doc("j1", file, "once"))))
	recurs := doc("j1", file, "recurs")
	recurs["schedule"] = "0 3 29 2 *"
	b.retain("ratchet/v1/jobs/all/j1", string(text(t, recurs)))
	b.await(jobsTopic+"j1", func(p string) bool { return strings.HasPrefix(statusOf(p).Reason, "schedule: next at") })
	d.remove("state/inhibit/app")
	b.offer("device/gw-1", doc("j2", file, "second"))
	wantState(t, b.final("j2"), executor.Succeeded)
	b.retain("ratchet/v1/jobs/all/j1", string(text(t, doc("j1", file, "again"))))
	wantState(t, b.final("j1"), executor.Succeeded)
	if got := read(t, file); got != "second again" {
		t.Errorf("ran %q, want the second and then the last of the first", got)
	}
}

// A job that was withdrawn just before the power went leaves no status either.
func TestACutBehindAWithdrawalLeavesNoStatus(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	file := filepath.Join(d.dir, "ran")
	job := doc("j1", file, "a")
	d.waiting(b, envelope(t, job, executor.Rollout{Percent: 100}))
	d.stop()
	db, err := store.Open(filepath.Join(d.dir, "state"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	done, err := db.Withdraw("j1")
	if err = errors.Join(err, db.Close()); err != nil || !done {
		t.Fatalf("withdrawing: %v, %v", done, err)
	}
	b.retain("ratchet/v1/jobs/all/j1", envelope(t, job, executor.Rollout{Where: "false"}))
	d.start()
	d.wantWithdrawn(b, file)
}
