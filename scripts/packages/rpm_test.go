package packages

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestE2EAnRPMIsInstalledUpgradedAndRemoved lets rpm itself do that, in a root
// without systemd: what its owner wrote stays.
func TestE2EAnRPMIsInstalledUpgradedAndRemoved(t *testing.T) {
	needs(t, true, "rpm", "debootstrap")
	root := debianRoot(t)
	rpm := func(args ...string) string {
		t.Helper()
		return run(t, ".", "rpm", append([]string{"--root", root, "--dbpath", "/var/lib/rpm", "--nodeps"}, args...)...)
	}
	settings := filepath.Join(root, "etc/ratchet/ratchet.toml")
	for _, version := range []string{"1.0.0", "1.1.0"} {
		dir := t.TempDir()
		makePackages(t, dir, version, []string{"ratchetd-linux-amd64"}, "rpm/x86_64")
		rpm("--upgrade", one(t, dir+"/*.rpm"))
		if got, want := run(t, ".", "chroot", root, "ratchetd", "version"), "ratchetd "+version+"\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if version == "1.0.0" {
			rpm("--verify", "ratchetd")
			if err := os.WriteFile(settings, []byte("# the owner's\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if text, err := os.ReadFile(settings); err != nil || string(text) != "# the owner's\n" {
		t.Errorf("got %q, %v, want the owner's", text, err)
	}
	rpm("--erase", "ratchetd")
	left := strings.Fields(run(t, root, "find", "usr", "etc", "-name", "*ratchet*"))
	if got, want := strings.Join(left, " "), "etc/ratchet etc/ratchet/ratchet.toml.rpmsave"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
