package main

import (
	"bytes"
	"io"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestRealDevices runs sessions, the demo among them, with the real daemon.
func TestRealDevices(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 20 seconds")
	}
	daemon := filepath.Join(t.TempDir(), "ratchetd")
	if out, err := exec.Command("go", "build", "-o", daemon, "../ratchetd").CombinedOutput(); err != nil {
		t.Fatalf("building ratchetd: %v\n%s", err, out)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/real",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			url, stop, err := startBroker()
			if err != nil {
				return err
			}
			env.Defer(stop)
			env.Setenv("RATCHET_BROKER", url)
			env.Setenv("RATCHETD", daemon)
			env.Setenv("TMPDIR", filepath.Join(env.WorkDir, "tmp"))
			return nil
		},
	})
}

func TestTheDemoSeesABrokenPromise(t *testing.T) {
	step := func(attempts, interrupted int, state executor.State) dialect.StepStatus {
		return dialect.StepStatus{Name: "s", State: state, Attempts: attempts, Interrupted: interrupted}
	}
	for _, c := range []struct {
		name string
		e    entry
		want bool
	}{
		{"ran once", entry{step: step(1, 0, executor.Succeeded), ran: 1, jobDone: true}, true},
		{"leaves no mark", entry{step: step(1, 0, executor.Succeeded), ran: -1, jobDone: true}, true},
		{"was cut and ran again", entry{step: step(2, 1, executor.Succeeded), ran: 2, cut: true, jobDone: true}, true},
		{"was cut and not run again", entry{step: step(2, 1, executor.Succeeded), ran: 1, cut: true, jobDone: true}, false},
		{"was cut and nobody noticed", entry{step: step(1, 0, executor.Succeeded), ran: 1, cut: true, jobDone: true}, false},
		{"ran twice", entry{step: step(1, 0, executor.Succeeded), ran: 2, jobDone: true}, false},
		{"was told but did not run", entry{step: step(1, 0, executor.Succeeded), ran: 0, jobDone: true}, false},
		{"was begun twice without a cut", entry{step: step(2, 0, executor.Succeeded), ran: 2, jobDone: true}, false},
		{"failed", entry{step: step(1, 0, executor.Failed), ran: 1, jobDone: true}, false},
		{"is in a job that failed", entry{step: step(1, 0, executor.Succeeded), ran: 1}, false},
	} {
		if got := c.e.kept(); got != c.want {
			t.Errorf("a step that %s: kept = %v, want %v", c.name, got, c.want)
		}
		s := session{out: &bytes.Buffer{}, err: io.Discard}
		if err := s.verdict([]entry{c.e}); (err == nil) != c.want {
			t.Errorf("a step that %s: verdict %v", c.name, err)
		}
	}
	if err := (&session{out: io.Discard}).verdict(nil); err == nil {
		t.Error("an empty account was found good")
	}
}
