package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ratchetd/ratchet/scripts/vm/machine"
)

func TestTheEnvironmentIsOneThatTheToolReads(t *testing.T) {
	tool, err := exec.LookPath("fw_printenv")
	if err != nil {
		t.Skip("libubootenv-tool is not installed: make deps")
	}
	dir := t.TempDir()
	env, conf := filepath.Join(dir, "env"), filepath.Join(dir, "fw_env.config")
	if err := errors.Join(os.WriteFile(env, environment(envSize, "boot_slot=A", "bootlimit=3"), 0o600),
		os.WriteFile(conf, []byte(env+" 0x0 0x4000\n"+env+" 0x4000 0x4000\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	got, err := machine.Output(exec.Command(tool, "-c", conf))
	if err != nil {
		t.Fatal(err)
	}
	if want := "boot_slot=A\nbootlimit=3\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
