package safefile

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/ratchetd/ratchet/telemetry/look"
)

// Replaceable says why nothing can take the place of what is at path, or nil. Tried all
// the same, it would fail in the middle.
func Replaceable(path string) error {
	mounts, _ := look.Mounts("/proc") // without /proc the rename will tell
	if slices.ContainsFunc(mounts, func(m look.Mount) bool { return m.Path == path }) {
		return fmt.Errorf("%s is a mount point, so no other file can take its place: change what is mounted there by its own path, or unmount it", path)
	}
	for _, at := range []string{path, filepath.Dir(path)} {
		var st unix.Statx_t
		err := unix.Statx(unix.AT_FDCWD, at, unix.AT_SYMLINK_NOFOLLOW|unix.AT_STATX_DONT_SYNC, unix.STATX_TYPE, &st)
		switch {
		case errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOSYS):
		case err != nil:
			return &fs.PathError{Op: "statx", Path: at, Err: err}
		case st.Attributes&(unix.STATX_ATTR_IMMUTABLE|unix.STATX_ATTR_APPEND) != 0:
			return fmt.Errorf("%s is immutable or may only grow: run chattr -ia %s, if a job is to change it", at, at)
		}
	}
	return nil
}
