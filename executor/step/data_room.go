package step

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/ratchetd/ratchet/executor"
)

// roomy writes to a file of unknown size and stops before the disk is full, for
// the rest of the device needs it too, and where the policy says so.
type roomy struct {
	w      io.Writer
	dir    string // on the same disk
	policy Policy
	done   int64
	due    int // bytes until the next look at the disk
}

func (r *roomy) Write(p []byte) (int, error) {
	const every = 256 << 10
	r.done += int64(len(p))
	if err := r.policy.Size(r.done); err != nil {
		return 0, err
	}
	if r.due -= len(p); r.due <= 0 {
		r.due = every
		if err := headroom(r.dir, every); err != nil {
			return 0, err
		}
	}
	return r.w.Write(p)
}

// ownDir makes the task's own directory, for what is not worth keeping.
func (f Files) ownDir(t *executor.Task) error {
	if t.Dir == "" {
		return errors.New("the task has no directory")
	}
	return f.makeTree(t.Dir, 0o700)
}

// headroom says that a disk would be too full with need bytes more.
func headroom(dir string, need uint64) error {
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
