package safefile

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrNoRoom is a disk that what is to come does not fit on.
var ErrNoRoom = errors.New("no room")

// Headroom says, as ErrNoRoom, that the disk of dir would be too full with need
// bytes more: keep bytes are to stay free or, where that is 0, 5 % of the disk and
// at least 4 MB, but of a small flash a quarter. A file system that lies in memory and
// reports no size has what memory has; so has an overlay over one.
func Headroom(dir string, need, keep uint64) error {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	block := uint64(disk.Bsize)
	free, total := uint64(disk.Bavail)*block, uint64(disk.Blocks)*block
	inMemory := []uint32{unix.RAMFS_MAGIC, unix.TMPFS_MAGIC, unix.OVERLAYFS_SUPER_MAGIC}
	if disk.Blocks == 0 && slices.Contains(inMemory, uint32(disk.Type)) {
		if free = memory("MemAvailable"); free > 0 { // kernels before 3.14 do not tell
			total = memory("MemTotal")
		}
	}
	if keep == 0 {
		keep = min(max(total/20, 4<<20), total/4)
	}
	if total > 0 && need+keep > free { // some file systems do not tell
		return fmt.Errorf("%w: %d bytes are to come and %d shall stay free, but %s has %d: make room there and submit again", ErrNoRoom, need, keep, dir, free)
	}
	return nil
}

// memory is what the kernel says of memory under that name, in bytes; 0 where it does not.
func memory(name string) uint64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name+":" {
			kib, _ := strconv.ParseUint(f[1], 10, 64) // the kernel writes numbers
			return kib << 10
		}
	}
	return 0
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
