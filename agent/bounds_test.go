package agent

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/store"
)

func TestAJobThatSucceededIsNotRejectedLater(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	j := doc("j1", filepath.Join(d.dir, "ran"), "a")
	j["expires"] = time.Now().UTC().Add(3 * time.Second).Format("2006-01-02T15:04:05Z")
	b.offer("device/gw-1", j)
	wantState(t, b.final("j1"), executor.Succeeded)
	b.offer("device/gw-1", doc("j2", filepath.Join(d.dir, "ran"), "b"))
	b.final("j2")
	time.Sleep(4 * time.Second)
	ids, err := d.db.Prune(time.Now(), store.History{Count: 1})
	t.Log("forgotten:", ids, err)
	d.stop()
	b.forget()
	d.start().online(b)
	time.Sleep(500 * time.Millisecond)
	if s := statusOf(b.retained(jobsTopic + "j1")); s.State == executor.Rejected {
		t.Errorf("a job that succeeded is told as %s: %s", s.State, s.Reason)
	}
}

func TestWhatCannotBeSweptEndsNothing(t *testing.T) {
	d := newDevice(t, &broker{t: t, addr: "127.0.0.1:1"}, "")
	os.MkdirAll(filepath.Join(d.dir, "state"), 0o700)
	os.WriteFile(filepath.Join(d.dir, "state/tasks"), nil, 0o600)
	c, _ := config.Load(filepath.Join(d.dir, "ratchet.toml"))
	a, _ := New(c, discard())
	if err := a.open(); err != nil {
		t.Error("the agent does not start:", err)
	}
}
