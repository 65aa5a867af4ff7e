package safefile

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Headroom says that a disk would be too full with need bytes more.
func Headroom(dir string, need uint64) error {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	block := uint64(disk.Bsize)
	free, keep := uint64(disk.Bavail)*block, min(1<<20, uint64(disk.Blocks)*block/50)
	if disk.Blocks > 0 && need+keep > free { // some file systems do not tell
		return fmt.Errorf("no room: %d bytes shall stay free, and %s has %d left: make room there and submit again", keep, dir, free)
	}
	return nil
}

// MakeTaskDir makes dir, the task's own directory, for what is not worth keeping.
func (f Files) MakeTaskDir(dir string) error {
	if dir == "" {
		return errors.New("the task has no directory")
	}
	return f.MakeTree(dir, 0o700)
}

// SyncDisk makes durable what programs have written to the disk of path: they
// seldom do it themselves.
func SyncDisk(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unix.Syncfs(int(dir.Fd())); err != nil {
		return fmt.Errorf("syncing the disk of %s: %w", path, err)
	}
	return nil
}
