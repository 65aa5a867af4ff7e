package agent

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/executor"
)

// A journal's file that lost its name or its place is noticed at the next commit: the
// agent starts again with a new one, tells of it, and knows what it had told.
func TestAJournalThatLostItsPlaceIsMadeAgain(t *testing.T) {
	for name, lose := range map[string]func(state string) error{
		"deleted": func(state string) error { return os.RemoveAll(state) },
		"renamed": func(state string) error { return os.Rename(state, state+".old") },
		"replaced": func(state string) error {
			path := filepath.Join(state, "ratchet.db")
			text, err := os.ReadFile(path)
			return errors.Join(err, os.Rename(path, path+".old"), os.WriteFile(path, text, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBroker(t)
			d := newDevice(t, b, "")
			d.restarts = true
			d.start().online(b)
			file, state := filepath.Join(d.dir, "ran"), filepath.Join(d.dir, "state")
			b.offer("device/gw-1", doc("j1", file, "a"))
			wantState(t, b.final("j1"), executor.Succeeded)
			if err := lose(state); err != nil {
				t.Fatal(err)
			}
			b.offer("device/gw-1", doc("j2", file, "b"))
			await(t, "the restart", func() bool { return d.restarted() })
			b.forget()
			d.start().online(b)
			b.await(alertsTopic+"journal-broken", raised)
			wantState(t, b.final("j2"), executor.Succeeded)
			if got := read(t, file); got != "a b" {
				t.Errorf("ran %q, want a b", got)
			}
			if _, err := os.Stat(config.RuntimeDir(state) + "/lost"); err == nil {
				t.Error("it would be told again at the next start")
			}
		})
	}
}
