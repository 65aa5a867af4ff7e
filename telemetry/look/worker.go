package look

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Arg is the first argument with which the agent's own program is a Worker and
// nothing else; the paths follow.
const Arg = "look-worker"

// Worker looks at each path and writes an Answer for it, one a line.
func Worker(paths []string, stdout io.Writer) int {
	for _, path := range paths {
		if json.NewEncoder(stdout).Encode(answerOf(path)) != nil {
			return 1 // nobody waits any more
		}
	}
	return 0
}

// Here is a look of this process, for what cannot hang.
func Here(path string) Answer { return answerOf(path) }

// answerOf is the look itself. It is what may hang.
func answerOf(path string) (a Answer) {
	info, err := os.Stat(path)
	if err != nil {
		return Answer{Absent: errors.Is(err, fs.ErrNotExist), Err: err.Error()}
	}
	a.Dir = info.IsDir()
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		a.Err = (&fs.PathError{Op: "statfs", Path: path, Err: err}).Error()
		return a
	}
	size := uint64(s.Bsize)
	a.Total, a.Free, a.Used = uint64(s.Blocks)*size, uint64(s.Bavail)*size, (uint64(s.Blocks)-uint64(s.Bfree))*size
	a.Inodes, a.InodesFree = uint64(s.Files), uint64(s.Ffree)
	return a
}
