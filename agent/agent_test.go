package agent

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor"
)

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
	file := filepath.Join(d.dir, "pid")
	b.offer("device/gw-1", script("j1", "sleep 600 & echo $! >"+file+"; wait"))
	await(t, "the child", func() bool { return read(t, file) != "" })
	b.offer("device/gw-1", `{"id":"j1","cancel":true}`)
	s := b.final("j1")
	wantState(t, s, executor.Cancelled)
	if s.Steps[0].State != executor.Failed || s.Steps[0].Reason != "cancelled" {
		t.Errorf("step: got %+v", s.Steps[0])
	}
	await(t, "the end of the child", func() bool { return !lives(t, read(t, file)) })
}

func TestAnotherDocumentUnderAUsedIDIsRefused(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	file := filepath.Join(d.dir, "ran")
	b.offer("device/gw-1", doc("j1", file, "a"))
	b.final("j1")
	b.forget()
	b.offer("device/gw-1", doc("j1", file, "other"))
	b.await(alertsTopic+"id-reused", raised)
	wantState(t, statusOf(b.retained(jobsTopic+"j1")), executor.Succeeded)
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
		if p := b.lastOf(jobsTopic + id); p != "" {
			t.Errorf("%s: said %s", id, p)
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
	if err := d.link.Fresh(patient(t)); err != nil {
		t.Fatal(err)
	}
	d.online(b)
	if n := b.count("ratchet/v1/jobs/device/gw-1/j1"); n != 0 {
		t.Errorf("the offer was sent again %d times", n)
	}
}

func TestABrokerThatLostItsStoreIsToldAgain(t *testing.T) {
	b := newBroker(t)
	file := filepath.Join(t.TempDir(), "ran")
	newDevice(t, b, "").start().online(b)
	b.offer("device/gw-1", doc("j1", file, "a"))
	b.final("j1")
	b.stop()
	b.forget()
	b.start()
	wantState(t, b.final("j1"), executor.Succeeded)
	if got := read(t, file); got != "a" {
		t.Errorf("ran %q", got)
	}
}

func TestJobsRunWithoutABroker(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	file := filepath.Join(d.dir, "ran")
	j := doc("j1", file, "a", "b")
	j["steps"].([]any)[0].(map[string]any)["command"] = map[string]any{"shell": "while ! test -e " + file + ".go; do sleep 0.05; done; echo a >>" + file}
	b.offer("device/gw-1", j)
	b.await(jobsTopic+"j1", func(p string) bool { return statusOf(p).State == executor.Running })
	b.stop()
	b.forget()
	d.write("ran.go", "")
	await(t, "the job, offline", func() bool { return read(t, file) == "a b" })
	b.start()
	wantState(t, b.final("j1"), executor.Succeeded)
}

// lives reports whether the process with this id runs: what is dead and only not
// reaped does not.
func lives(t *testing.T, pid string) bool {
	t.Helper()
	_, state, _ := strings.Cut(read(t, filepath.Join("/proc", pid, "stat")), ") ")
	return state != "" && !strings.HasPrefix(state, "Z")
}
