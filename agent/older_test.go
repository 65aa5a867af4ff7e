package agent

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

// keepJournal keeps the device's journal as it is, and returns what puts it back.
func (d *device) keepJournal() (putBack func()) {
	d.t.Helper()
	path := filepath.Join(d.dir, "state", "ratchet.db")
	kept, err := os.ReadFile(path)
	if err != nil {
		d.t.Fatal(err)
	}
	return func() {
		d.t.Helper()
		if err := os.WriteFile(path, kept, 0o600); err != nil {
			d.t.Fatal(err)
		}
	}
}

// A journal from before the job, such as a backup or an overlay in RAM brings back,
// runs nothing again: as little a job that it has never heard of as one that it has
// not begun, or that it is in the midst of.
func TestAnOlderJournalRunsNothingAgain(t *testing.T) {
	for name, keptAt := range map[string]string{"before the job": "", "before it began": "waiting", "in its midst": "running"} {
		t.Run(name, func(t *testing.T) {
			b := newBroker(t)
			d := newDevice(t, b, "").start().online(b)
			file, second := filepath.Join(d.dir, "ran"), filepath.Join(d.dir, "second")
			job := map[string]any{"id": "j1", "steps": []any{shell("a", "echo a >>"+file),
				shell("b", "until test -e "+second+"; do sleep 0.05; done; echo b >>"+file)}}
			putBack := func() {}
			if keptAt != "" {
				d.inhibit()
				b.offer("device/gw-1", job)
				b.await(jobsTopic+"j1", func(p string) bool { return statusOf(p).State == executor.Waiting })
			}
			if keptAt != "running" {
				d.stop()
				putBack = d.keepJournal()
				d.start().online(b)
			}
			if keptAt != "" {
				d.remove("state/inhibit/app")
			} else {
				b.offer("device/gw-1", job)
			}
			if keptAt == "running" {
				await(t, "the second step", func() bool { r, _, err := d.db.Record("j1"); return err == nil && r.Steps[1].Attempts == 1 })
				putBack = d.keepJournal()
			}
			d.write("second", "")
			wantState(t, b.final("j1"), executor.Succeeded)
			d.stop()
			putBack()
			if keptAt == "running" {
				d.remove("second") // so that the step would last until the device knows better
			}
			b.forget()
			d.start().online(b)
			b.await(alertsTopic+"journal-older", raised)
			b.offer("device/gw-1", doc("j9", file, "last"))
			wantState(t, b.final("j9"), executor.Succeeded)
			if got := read(t, file); got != "a b last" {
				t.Errorf("ran %q, want a b and the last", got)
			}
			wantState(t, statusOf(b.retained(jobsTopic+"j1")), executor.Succeeded)
			if s, err := d.job("j1"); err != nil || s.State != executor.Succeeded {
				t.Errorf("on the device it is %s, %v", s.State, err)
			}
			d.alerts.Clear("journal-older")
			d.stop()
			d.start().online(b) // what was read back is known from then on
			if d.alerted("journal-older") {
				t.Error("the journal is taken for an older one once more")
			}
		})
	}
}

// A journal that went on after its mark was told is not older: a cut comes before
// the next presence.
func TestAJournalThatIsAheadIsNotOlder(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	told := presenceOf(b.retained(stateTopic)).Journal
	b.offer("device/gw-1", doc("j1", filepath.Join(d.dir, "ran"), "a"))
	wantState(t, b.final("j1"), executor.Succeeded)
	client, _ := b.server.Clients.Get("gw-1")
	will := presenceOf(string(client.Properties.Will.Payload)).Journal
	if told.ID == "" || will.ID != told.ID || will.Commits > d.db.Mark().Commits {
		t.Errorf("told %+v, will %+v, and now it is %+v", told, will, d.db.Mark())
	}
	d.stop()
	d.start().online(b)
	if d.alerted("journal-older") {
		t.Error("it is taken for an older one")
	}
}

// A device with the disk of another one, whose journal has another id, reads back too.
func TestAnotherJournalRunsNothingAgain(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	file := filepath.Join(d.dir, "ran")
	b.offer("device/gw-1", doc("j1", file, "a"))
	wantState(t, b.final("j1"), executor.Succeeded)
	d.stop()
	other := newDevice(t, b, "")
	other.inhibit()
	other.start().online(b) // as a new journal it reads back, and is not new any more
	other.stop()
	b.offer("device/gw-1", doc("j2", file, "b"))
	d.start().online(b)
	wantState(t, b.final("j2"), executor.Succeeded)
	d.stop()
	b.forget()
	other.remove("state/inhibit/app")
	other.start().online(b)
	b.await(alertsTopic+"journal-older", raised)
	b.offer("device/gw-1", doc("j9", file, "last"))
	wantState(t, b.final("j9"), executor.Succeeded)
	if got := read(t, file); got != "a b last" {
		t.Errorf("ran %q, want a b last", got)
	}
}

// presenceOf reads what a device says of itself.
func presenceOf(payload string) dialect.Presence {
	var p dialect.Presence
	_ = json.Unmarshal([]byte(payload), &p)
	return p
}
