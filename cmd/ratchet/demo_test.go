package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/broker"
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
			url, stop, err := broker.Start()
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
