package safefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ratchetd/ratchet/telemetry/look"
)

// A path is judged with its links followed. Whoever may write one of its
// directories could then put a link in that one's place, and have the agent
// change or read a file of somebody else. So what is done to a file goes down
// to it name by name, follows no link on the way, and acts on its name in the
// directory that it holds: paths given to these functions have no links but at
// their end, which is not followed either.

// moved is what a link in a path is answered with.
func moved(dir string) error {
	return fmt.Errorf("%s is a link or a file now, and was a directory when the path was judged: let the step retry, or make it a directory again where a step is undone", dir)
}

// inParent gives the directory of path, and its name in there, to act.
func inParent(op, path string, act func(dir int, name string) error) error {
	dir, err := descend(filepath.Dir(path))
	if err == nil {
		defer unix.Close(dir)
		for err = unix.EINTR; errors.Is(err, unix.EINTR); {
			err = act(dir, filepath.Base(path))
		}
	}
	if err != nil {
		return &fs.PathError{Op: op, Path: path, Err: err}
	}
	return nil
}

// descend opens a directory to act in it.
func descend(path string) (int, error) {
	const how = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	dir, err := openIn(unix.AT_FDCWD, "/", how, 0)
	at := "/"
	for name := range strings.SplitSeq(path, "/") {
		if err != nil || name == "" {
			continue
		}
		at = filepath.Join(at, name)
		if err = look.Enter(at); err != nil {
			break
		}
		var next int
		next, err = openIn(dir, name, how, 0)
		_ = unix.Close(dir) // it was opened to look things up only
		dir = next
	}
	if errors.Is(err, look.ErrHangs) {
		return -1, errors.Join(err, unix.Close(dir))
	}
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return -1, moved(at)
	}
	return dir, err
}

// openIn is openat, which a signal may interrupt on some file systems.
func openIn(dir int, name string, how int, mode uint32) (fd int, err error) {
	for err = unix.EINTR; errors.Is(err, unix.EINTR); {
		fd, err = unix.Openat(dir, name, how, mode)
	}
	return fd, err
}

// openAt is os.OpenFile. What may be no regular file is opened with O_NONBLOCK:
// a pipe must not be waited for.
func openAt(path string, flags int, mode fs.FileMode) (file *os.File, err error) {
	err = inParent("open", path, func(dir int, name string) error {
		fd, err := openIn(dir, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, uint32(mode.Perm()))
		if err == nil {
			file = os.NewFile(uintptr(fd), path)
		}
		return err
	})
	return file, err
}

// Lstat is what stands at path and, of a link, what the link says.
func Lstat(path string) (st unix.Stat_t, to string, err error) {
	return lstat(path, func(int) error { return nil })
}

// lstat is Lstat that also looks at a regular file through its descriptor.
func lstat(path string, look func(fd int) error) (st unix.Stat_t, to string, err error) {
	err = inParent("lstat", path, func(dir int, name string) (err error) {
		var fd int
		if fd, st, to, err = entryIn(dir, name); err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT == unix.S_IFREG {
			err = look(fd)
		}
		return errors.Join(err, unix.Close(fd))
	})
	return st, to, err
}

// entryIn is Lstat of a name in a directory, and a descriptor to go on with.
func entryIn(dir int, name string) (fd int, st unix.Stat_t, to string, err error) {
	if fd, err = openIn(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0); err != nil {
		return fd, st, to, err
	}
	if err = unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK {
		buf := make([]byte, unix.PathMax)
		var n int
		n, err = unix.Readlinkat(fd, "", buf)
		to = string(buf[:max(n, 0)])
	}
	if err != nil {
		_ = unix.Close(fd)
	}
	return fd, st, to, err
}

// Rename is os.Rename that follows no link on the way to either name.
func Rename(from, to string) error {
	return inParent("rename", from, func(old int, name string) error {
		return inParent("rename", to, func(dir int, newName string) error {
			return unix.Renameat(old, name, dir, newName)
		})
	})
}

func link(from, to string) error {
	return inParent("link", from, func(old int, name string) error {
		return inParent("link", to, func(dir int, newName string) error {
			return unix.Linkat(old, name, dir, newName, 0)
		})
	})
}

func symlink(to, path string) error {
	return inParent("symlink", path, func(dir int, name string) error { return unix.Symlinkat(to, dir, name) })
}

func mkdir(path string, mode fs.FileMode) error {
	return inParent("mkdir", path, func(dir int, name string) error { return unix.Mkdirat(dir, name, uint32(mode.Perm())) })
}

// remove removes a file, a link or an empty directory.
func remove(path string) error {
	return inParent("remove", path, func(dir int, name string) error {
		err := unix.Unlinkat(dir, name, 0)
		if errors.Is(err, unix.EISDIR) {
			err = unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
		}
		return err
	})
}

// Open opens a regular file to read, and nothing that has taken its place
// since its path was judged: to open a device can act.
func Open(path string) (*os.File, error) {
	file, err := openAt(path, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("%s is a link now, and was none when it was judged: let the step retry", path)
	}
	if err != nil {
		return nil, err
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("%s is no regular file any more", path), err, file.Close())
	}
	return file, nil
}
