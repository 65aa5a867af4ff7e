package safefile_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// TestAnOwnerThatIsRightIsNotSetAgain: a chown takes the capabilities of a program away,
// such as cap_net_raw of the agent's own, also where it changes nothing; and some file
// systems refuse each.
func TestAnOwnerThatIsRightIsNotSetAgain(t *testing.T) {
	const xattr = "security.capability"
	raw := []byte{1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0} // cap_net_raw=ep, as setcap writes it
	dir := t.TempDir()
	old, path := filepath.Join(dir, "old"), filepath.Join(dir, "path")
	for _, file := range []string{old, path} {
		if err := os.WriteFile(file, []byte(file), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Setxattr(old, xattr, raw, 0); err != nil {
		t.Skipf("it needs root and a file system that keeps capabilities: %v", err)
	}
	was, err := safefile.Stat(old)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := (safefile.Files{}).PutBack(old, path, was.Attrs); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 64)
		n, err := unix.Getxattr(path, xattr, got)
		if err != nil || !bytes.Equal(got[:n], raw) {
			t.Errorf("got capabilities %x, %v, want %x", got[:max(n, 0)], err, raw)
		}
	}
}
