package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestE2EOtherProcessors runs whole sessions, power cuts among them, with
// ratchetd built for the processors of routers.
func TestE2EOtherProcessors(t *testing.T) {
	if !thorough() {
		t.Skip("RATCHET_E2E=1 runs it, or make e2e")
	}
	for _, p := range []struct{ emulator, arch, option string }{
		{"qemu-mips-static", "mips", "GOMIPS=softfloat"},
		{"qemu-mipsel-static", "mipsle", "GOMIPS=softfloat"},
		{"qemu-arm-static", "arm", "GOARM=7"},
	} {
		t.Run(p.arch, func(t *testing.T) {
			if _, err := exec.LookPath(p.emulator); err != nil {
				t.Skip(p.emulator + " is not installed: make deps")
			}
			program := filepath.Join(t.TempDir(), "ratchetd")
			build := exec.Command("go", "build", "-o", program, ".")
			build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+p.arch, p.option)
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			// One processor after another: an agent does not take one of another for an
			// agent, and the same steps of both would be its leftovers.
			t.Run("sessions", func(t *testing.T) {
				sessions(t, embedded, p.emulator+" "+program,
					"testdata/power-cut.txtar", "testdata/undo.txtar", "testdata/journal-lost.txtar", "testdata/if-interrupted.txtar")
			})
		})
	}
}
