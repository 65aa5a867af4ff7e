package agent

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/ratchetd/ratchet/executor"
)

// losesItsJournal has a device run a job that writes to file, and then lose its
// journal while it is off.
func losesItsJournal(t *testing.T, b *broker, file string) *device {
	t.Helper()
	d := newDevice(t, b, "").start().online(b)
	b.offer("device/gw-1", doc("j1", file, "a"))
	wantState(t, b.final("j1"), executor.Succeeded)
	d.stop()
	d.remove("state/ratchet.db")
	return d
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
		map[string]any{"name": "s", "command": map[string]any{"shell": "mkdir " + d.dir + "/state/inhibit; touch " + d.dir + "/state/inhibit/app"}},
		map[string]any{"name": "t", "command": map[string]any{"argv": []string{"true"}}}}})
	b.await(jobsTopic+"j2", func(p string) bool { return statusOf(p).State == executor.Waiting }) // in its midst
	d.stop()
	d.remove("state/ratchet.db")
	d.remove("state/inhibit/app")
	b.forget()
	d.start()
	s := b.final("j2")
	wantState(t, s, executor.Failed)
	if s.Reason != "journal lost" {
		t.Errorf("reason: got %q", s.Reason)
	}
	d.online(b)
	b.offer("device/gw-1", doc("j3", file, "c")) // runs behind whatever came before
	wantState(t, b.final("j3"), executor.Succeeded)
	if got := read(t, file); got != "a c" {
		t.Errorf("ran %q", got)
	}
}

// Without the right to read back what it told, a device with a new journal asks
// for no jobs: it says which right is missing.
func TestADeniedReadBackRunsNothingAgain(t *testing.T) {
	b := newBroker(t)
	file := filepath.Join(t.TempDir(), "ran")
	d := losesItsJournal(t, b, file)
	b.bend(&bend{read: func(p packets.Packet) packets.Packet {
		if p.FixedHeader.Type == packets.Subscribe {
			for i, f := range p.Filters {
				if f.Filter == jobsTopic+"+" {
					p.Filters[i].Filter = "#/bad" // answered with 0x80
				}
			}
		}
		return p
	}})
	d.start()
	await(t, "the missing right to be named", func() bool { return strings.Contains(d.link.Status().Err, "denies") })
	if d.connected() {
		t.Error("the device takes jobs all the same")
	}
	if got := read(t, file); got != "a" {
		t.Errorf("a denied read-back, and the job ran again: %q", got)
	}
}

func TestNothingIsJudgedBeforeTheReadBack(t *testing.T) {
	b := newBroker(t)
	file := filepath.Join(t.TempDir(), "ran")
	d := losesItsJournal(t, b, file)
	b.offer("device/gw-1", doc("j1", file, "a")) // published once more while it is off
	b.forget()
	d.start().online(b)
	b.offer("device/gw-1", doc("j2", file, "b")) // runs behind whatever came before
	wantState(t, b.final("j2"), executor.Succeeded)
	if got := read(t, file); got != "a b" {
		t.Errorf("ran %q after the journal was lost, want only b once more", got)
	}
}

func TestAReadBackErasesNothing(t *testing.T) {
	b := newBroker(t)
	file := filepath.Join(t.TempDir(), "ran")
	d := losesItsJournal(t, b, file)
	before := b.retained(jobsTopic + "j1")
	b.forget()
	d.start().online(b)
	b.offer("device/gw-1", doc("j2", file, "b")) // told behind whatever is told of j1
	wantState(t, b.final("j2"), executor.Succeeded)
	after := b.retained(jobsTopic + "j1")
	if len(statusOf(before).Steps) != 1 || len(statusOf(after).Steps) != 1 {
		t.Errorf("a lost journal erases what the broker still had:\n before %s\n after  %s", before, after)
	}
}
