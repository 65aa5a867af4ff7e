package agent

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
)

const jobsTopic = "ratchet/v1/device/gw-1/jobs/"

func TestAJobSentWhileTheDeviceWasOffRunsWhenItComes(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "")
	file := filepath.Join(d.dir, "ran")
	b.offer("device/gw-1", doc("j1", file, "a", "b"))
	d.start()
	wantState(t, b.final("j1"), executor.Succeeded)
	if got := read(t, file); got != "a b" {
		t.Errorf("ran %q", got)
	}
}

func TestOffersRunInOrderOfCreation(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "")
	file := filepath.Join(d.dir, "ran")
	for id, created := range map[string]string{"x": "2026-11-23T09:00:02Z", "y": "2026-11-23T09:00:01Z", "z": "2026-11-23T09:00:03Z", "w": "2026-11-23T09:00:03Z"} {
		j := doc(id, file, id)
		j["created"] = created
		b.offer("device/gw-1", j)
	}
	d.start()
	for _, id := range []string{"x", "y", "z", "w"} {
		b.final(id)
	}
	if got := read(t, file); got != "y x w z" {
		t.Errorf("ran %q", got)
	}
}

func TestACancelBehindItsJobComesInTime(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "")
	file := filepath.Join(d.dir, "ran")
	b.offer("device/gw-1", doc("j1", file, "a"))
	b.offer("all", `{"id":"j1","cancel":true}`)
	d.start()
	wantState(t, b.final("j1"), executor.Cancelled)
	if got := read(t, file); got != "" {
		t.Errorf("ran %q", got)
	}
}

func TestACancelledStepIsKilledWithItsGroup(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	file := filepath.Join(d.dir, "ran")
	b.offer("device/gw-1", map[string]any{"id": "j1", "steps": []any{
		map[string]any{"name": "a", "command": map[string]any{"shell": "(sleep 3; echo late >>" + file + ") & wait"}}}})
	b.await(jobsTopic+"j1", func(p string) bool { return statusOf(p).State == executor.Running })
	b.offer("device/gw-1", `{"id":"j1","cancel":true}`)
	s := b.final("j1")
	wantState(t, s, executor.Cancelled)
	if s.Steps[0].State != executor.Failed || s.Steps[0].Reason != "cancelled" {
		t.Errorf("step: got %+v", s.Steps[0])
	}
	time.Sleep(3500 * time.Millisecond)
	if got := read(t, file); got != "" {
		t.Errorf("a child outlived the cancel: %q", got)
	}
}

func TestAnotherDocumentUnderAUsedIDIsRefused(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	file := filepath.Join(d.dir, "ran")
	b.offer("device/gw-1", doc("j1", file, "a"))
	b.final("j1")
	b.forget()
	b.offer("device/gw-1", doc("j1", file, "other"))
	b.await("ratchet/v1/device/gw-1/alerts/id-reused", func(p string) bool { return strings.Contains(p, "raised") })
	if b.last[jobsTopic+"j1"].Payload == nil || !strings.Contains(string(b.last[jobsTopic+"j1"].Payload), "succeeded") {
		t.Errorf("the retained status changed: %s", b.last[jobsTopic+"j1"].Payload)
	}
	if got := read(t, file); got != "a" {
		t.Errorf("ran %q", got)
	}
}

func TestARefusedIDCanBeUsedAgain(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	file := filepath.Join(d.dir, "ran")
	b.offer("device/gw-1", `{"id":"j1","steps":[{"name":"a","comand":{}}]}`)
	s := b.final("j1")
	wantState(t, s, executor.Rejected)
	if s.Rev != 0 || !strings.Contains(s.Reason, "steps[0].comand") {
		t.Errorf("got rev %d, reason %q", s.Rev, s.Reason)
	}
	b.forget()
	b.offer("device/gw-1", doc("j1", file, "a"))
	wantState(t, b.final("j1"), executor.Succeeded)
	if d.db.Commits() == 0 {
		t.Error("no commit at all")
	}
}

// What is not for this device leaves no word and no trace.
func TestWhatIsNotForThisDeviceIsIgnored(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	file := filepath.Join(d.dir, "ran")
	before := d.db.Commits()
	target := doc("far", file, "far")
	target["target"] = `.tags.site == "paris"`
	late := doc("late", file, "late")
	late["expires"] = "2020-01-01T00:00:00Z"
	b.offer("all", target)
	b.offer("all", late)
	b.retain("ratchet/v1/jobs/all/none", `{"job":"{\"id\":\"none\",\"steps\":[{\"name\":\"a\",\"command\":{\"argv\":[\"true\"]}}]}","rollout":{"percent":0}}`)
	near := doc("near", file, "near")
	near["target"] = `.tags.site == "berlin" and any(.kinds[]; . == "command")`
	b.offer("group/routers", near)
	wantState(t, b.final("near"), executor.Succeeded)
	for _, id := range []string{"far", "late", "none"} {
		if p, ok := b.last[jobsTopic+id]; ok {
			t.Errorf("%s: said %s", id, p.Payload)
		}
	}
	if got := read(t, file); got != "near" {
		t.Errorf("ran %q", got)
	}
	if n := d.db.Commits() - before; n != 3 {
		t.Errorf("%d commits for one job of one step, and three that are not for us: want 3", n)
	}
}

func TestAResumedSessionCarriesNothingTwice(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	file := filepath.Join(d.dir, "ran")
	b.offer("device/gw-1", doc("j1", file, "a"))
	b.final("j1")
	b.forget()
	if err := d.link.Fresh(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	d.online(b)
	if n := b.count("ratchet/v1/jobs/device/gw-1/j1"); n != 0 {
		t.Errorf("the offer was sent again %d times", n)
	}
}

func TestABrokerThatLostItsStoreIsToldAgain(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	file := filepath.Join(d.dir, "ran")
	b.offer("device/gw-1", doc("j1", file, "a"))
	b.final("j1")
	b.stop()
	b.forget()
	b.start()
	wantState(t, b.final("j1"), executor.Succeeded)
	if got := read(t, file); got != "a" {
		t.Errorf("ran %q", got)
	}
	_ = d
}

func TestALateWillIsCorrected(t *testing.T) {
	b := newBroker(t)
	newDevice(t, b, "").start().online(b)
	b.forget()
	b.retain("ratchet/v1/device/gw-1/state", `{"online":false}`)
	b.await("ratchet/v1/device/gw-1/state", func(p string) bool { return strings.Contains(p, `"online":true`) })
}

func TestJobsRunWithoutABroker(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	file := filepath.Join(d.dir, "ran")
	j := doc("j1", file, "a", "b")
	j["steps"].([]any)[0].(map[string]any)["command"] = map[string]any{"shell": "echo a >>" + file + "; sleep 1"}
	b.offer("device/gw-1", j)
	b.await(jobsTopic+"j1", func(p string) bool { return statusOf(p).State == executor.Running })
	b.stop()
	b.forget()
	for end := time.Now().Add(10 * time.Second); read(t, file) != "a b" && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	b.start()
	wantState(t, b.final("j1"), executor.Succeeded)
}

// A device whose journal is gone must not run every retained job again.
func TestALostJournalRunsNothingAgain(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "")
	file := filepath.Join(d.dir, "ran")
	d.start()
	b.offer("device/gw-1", doc("j1", file, "a"))
	b.final("j1")
	b.offer("device/gw-1", map[string]any{"id": "j2", "steps": []any{
		map[string]any{"name": "s", "command": map[string]any{"argv": []string{"sleep", "1"}}},
		map[string]any{"name": "t", "command": map[string]any{"argv": []string{"sleep", "60"}}}}})
	b.await(jobsTopic+"j2", func(p string) bool { return statusOf(p).Rev == 3 })
	d.stop()
	d.remove("state/ratchet.db")
	b.forget()
	d.start()
	s := b.final("j2")
	wantState(t, s, executor.Failed)
	if s.Reason != "journal lost" {
		t.Errorf("reason: got %q", s.Reason)
	}
	d.online(b)
	if got := read(t, file); got != "a" {
		t.Errorf("ran %q", got)
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
