// Package safefile does the file operations of the program: what it writes is
// durable when a call returns, is never half written, whenever the power goes,
// and goes through no link that somebody has put into its way.
//
// It knows no steps and no policy: whether a path may be used is judged before,
// and the path that is used is the one that was judged, with its links followed
// (Resolve).
package safefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Timeout is what a step that only writes files gets. Nothing ends a write to a
// disk that hangs, but the agent notices.
const Timeout = time.Hour

// Files does the file operations of the kinds, on paths without links. The zero
// value does them on the real file system and nothing more.
type Files struct {
	// Before, when set, is called with the name of each operation and its
	// paths before it is done; an error is returned in its stead. It is how
	// package steptest cuts a step at every operation.
	Before func(op string, paths ...string) error
}

// Do announces an operation of the caller's own to Before, and then acts.
func (f Files) Do(op string, act func() error, paths ...string) error {
	if f.Before != nil {
		if err := f.Before(op, paths...); err != nil {
			return &fs.PathError{Op: op, Path: paths[0], Err: err}
		}
	}
	return act()
}

// Write is the durable write: path has its old content or the new one, at
// every moment and after every cut, and has the new one when write returns.
func (f Files) Write(path string, content io.Reader, a Attrs) error {
	temp := Beside(path, "new")
	err := f.Fill(temp, content)
	if err == nil {
		err = f.Install(temp, path, a)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", path, err), f.RemoveDurably(temp))
	}
	return nil
}

// WriteFile durably writes a small file of the agent's own, at the end of the
// path's links. Whoever may write its directory is trusted.
func WriteFile(path, text string, mode fs.FileMode) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if path, err = Resolve(path); err != nil {
		return err
	}
	return Files{}.Write(path, strings.NewReader(text), Attrs{Mode: uint32(mode.Perm()), UID: -1, GID: -1})
}

// Fill makes path a new file with this content. It is not durable yet.
func (f Files) Fill(path string, content io.Reader) error {
	w, err := f.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, content)
	return errors.Join(err, w.Close())
}

// Install makes the file temp the durable content of path, which lies in the
// same directory.
func (f Files) Install(temp, path string, a Attrs) error {
	if err := f.SetAttrs(temp, a); err != nil {
		return err
	}
	return f.exchange(temp, path)
}

// exchange durably puts temp in the place of path.
func (f Files) exchange(temp, path string) error {
	if err := f.Do("rename", func() error { return Rename(temp, path) }, temp, path); err != nil {
		return err
	}
	return f.SyncDir(filepath.Dir(path))
}

// SyncExisting makes durable what is already as it should be: an attempt before this
// one may have been killed between its change and its last sync.
func (f Files) SyncExisting(path string) error {
	if err := f.Sync(path); err != nil {
		return err
	}
	return f.SyncDir(filepath.Dir(path))
}

// Remove removes path, which may be absent. A power cut may bring it back.
func (f Files) Remove(path string) error {
	if _, _, err := Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return f.Do("remove", func() error { return remove(path) }, path)
}

// RemoveDurably removes path durably, also when an attempt before this one
// removed it and was cut before it was durable.
func (f Files) RemoveDurably(path string) error {
	if err := f.Remove(path); err != nil {
		return err
	}
	err := f.SyncDir(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Sync makes the content and the attributes of a file durable.
func (f Files) Sync(path string) error {
	return f.Do("sync", func() error { return fsync(path) }, path)
}

// SyncDir makes the names in a directory durable.
func (f Files) SyncDir(dir string) error {
	return f.Do("syncdir", func() error { return fsync(dir) }, dir)
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
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EROFS) { // a file system that knows no fsync, or has nothing to write
		err = nil
	}
	return errors.Join(err, file.Close())
}

// MakeDirs durably makes dirs, outermost first; any may be there already.
func (f Files) MakeDirs(dirs []string, mode fs.FileMode) error {
	for _, dir := range dirs {
		err := f.Do("mkdir", func() error { return mkdir(dir, mode) }, dir)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := f.SyncDir(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	return nil
}

// MakeTree durably makes dir and what is missing above it. Each level is synced
// before the next is made, so of those that exist only the deepest may still be
// lost in a power cut.
func (f Files) MakeTree(dir string, mode fs.FileMode) error {
	made := Missing(dir)
	there := dir
	if len(made) > 0 {
		there = filepath.Dir(made[0])
	}
	if err := f.SyncDir(filepath.Dir(there)); err != nil {
		return err
	}
	return f.MakeDirs(made, mode)
}

// Missing lists the directories that must be made for dir, outermost first.
func Missing(dir string) []string {
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return append(Missing(filepath.Dir(dir)), dir)
}

// Unfinished matches the names of files that a cut has left unfinished, as Beside
// gives them for new content.
const Unfinished = ".*.ratchet-new"

// Beside names the file next to path in which its future content grows. The
// name is always the same, so a cut leaves at most one, and the next attempt
// finds it.
func Beside(path, what string) string {
	dir, base := filepath.Split(path)
	return dir + "." + base[:min(len(base), 200)] + ".ratchet-" + what
}
