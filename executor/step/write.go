package step

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Files does the file operations of the kinds, on paths without links. The zero
// value does them on the real file system and nothing more.
type Files struct {
	// Before, when set, is called with the name of each operation and its
	// paths before it is done; an error is returned in its stead. It is how
	// package steptest cuts a step at every operation.
	Before func(op string, paths ...string) error
}

func (f Files) do(op string, act func() error, paths ...string) error {
	if f.Before != nil {
		if err := f.Before(op, paths...); err != nil {
			return &fs.PathError{Op: op, Path: paths[0], Err: err}
		}
	}
	return act()
}

// write is the durable write: path has its old content or the new one, at
// every moment and after every cut, and has the new one when write returns.
func (f Files) write(path string, content io.Reader, a attrs) error {
	temp := beside(path, "new")
	err := f.fill(temp, content)
	if err == nil {
		err = f.install(temp, path, a)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", path, err), f.removeForGood(temp))
	}
	return nil
}

func (f Files) fill(path string, content io.Reader) error {
	w, err := f.create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, content)
	return errors.Join(err, w.close())
}

// install makes the file temp the durable content of path, which lies in the
// same directory.
func (f Files) install(temp, path string, a attrs) error {
	if err := f.setAttrs(temp, a); err != nil {
		return err
	}
	return f.exchange(temp, path)
}

// exchange durably puts temp in the place of path.
func (f Files) exchange(temp, path string) error {
	if err := f.do("rename", func() error { return rename(temp, path) }, temp, path); err != nil {
		return err
	}
	return f.syncDir(filepath.Dir(path))
}

// settle makes durable what is already as it should be: an attempt before this
// one may have been killed between its change and its last sync.
func (f Files) settle(path string) error {
	if err := f.sync(path); err != nil {
		return err
	}
	return f.syncDir(filepath.Dir(path))
}

// remove removes path, which may be absent. A power cut may bring it back.
func (f Files) remove(path string) error {
	if _, _, err := entry(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return f.do("remove", func() error { return remove(path) }, path)
}

// removeForGood removes path durably, also when an attempt before this one
// removed it and was cut before it was durable.
func (f Files) removeForGood(path string) error {
	if err := f.remove(path); err != nil {
		return err
	}
	err := f.syncDir(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (f Files) sync(path string) error {
	return f.do("sync", func() error { return fsync(path) }, path)
}

func (f Files) syncDir(dir string) error {
	return f.do("syncdir", func() error { return fsync(dir) }, dir)
}

func fsync(path string) error {
	file, err := openAt(path, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrPermission) { // where a user may change names, but not list them
		unix.Sync()
		return nil
	}
	if err != nil {
		return err
	}
	err = file.Sync()
	if errors.Is(err, unix.EINVAL) { // a file system that knows no fsync
		err = nil
	}
	return errors.Join(err, file.Close())
}

// makeDirs durably makes dirs, outermost first; any may be there already.
func (f Files) makeDirs(dirs []string, mode fs.FileMode) error {
	for _, dir := range dirs {
		err := f.do("mkdir", func() error { return mkdir(dir, mode) }, dir)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := f.syncDir(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	return nil
}

// makeTree durably makes dir and what is missing above it. Each level is synced
// before the next is made, so of those that exist only the deepest may still be
// lost in a power cut.
func (f Files) makeTree(dir string, mode fs.FileMode) error {
	made := missing(dir)
	there := dir
	if len(made) > 0 {
		there = filepath.Dir(made[0])
	}
	if err := f.syncDir(filepath.Dir(there)); err != nil {
		return err
	}
	return f.makeDirs(made, mode)
}

// missing lists the directories that must be made for dir, outermost first.
func missing(dir string) []string {
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return append(missing(filepath.Dir(dir)), dir)
}

// beside names the file next to path in which its future content grows. The
// name is always the same, so a cut leaves at most one, and the next attempt
// finds it.
func beside(path, what string) string {
	dir, base := filepath.Split(path)
	return dir + "." + base[:min(len(base), 200)] + ".ratchet-" + what
}
