package safefile_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// TestAFileSystemInMemoryHasRoomForWhatMemoryHas: ramfs reports no size, and a tmpfs
// without a limit none either. What they take is missing to everything else.
func TestAFileSystemInMemoryHasRoomForWhatMemoryHas(t *testing.T) {
	layers := t.TempDir()
	_ = syscall.Mount("tmpfs", layers, "tmpfs", 0, "size=0") // without it the next ones skip
	t.Cleanup(func() { _ = syscall.Unmount(layers, syscall.MNT_DETACH) })
	for _, name := range []string{"lower", "upper", "work"} {
		if err := os.Mkdir(filepath.Join(layers, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	overlay := fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", layers)
	for kind, options := range map[string]string{"ramfs": "", "tmpfs": "size=0", "overlay": overlay} {
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
