package safefile_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// TestAFileSystemInMemoryHasRoomForWhatMemoryHas: ramfs reports no size, and a tmpfs
// without a limit none either. What they take is missing to everything else.
func TestAFileSystemInMemoryHasRoomForWhatMemoryHas(t *testing.T) {
	for kind, options := range map[string]string{"ramfs": "", "tmpfs": "size=0"} {
		dir := filepath.Join(t.TempDir(), kind)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount(kind, dir, kind, 0, options); err != nil {
			t.Skipf("it needs root and the right to mount: %v", err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
		if err := safefile.Headroom(dir, 1<<20, 0); err != nil {
			t.Errorf("%s: got %v, want room for a small file", kind, err)
		}
		if err := safefile.Headroom(dir, 1<<50, 0); !errors.Is(err, safefile.ErrNoRoom) {
			t.Errorf("%s: got %v, want no room for more than the memory has", kind, err)
		}
	}
}
