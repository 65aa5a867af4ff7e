package safefile

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// Entry is what stood at a path before a step changed it. A regular file's
// content lies in the task's directory, as "old".
type Entry struct {
	Path   string `json:"path"`
	Absent bool   `json:"absent,omitempty"`
	Link   string `json:"link,omitempty"`
	Attrs
}

// Undo is the undo data that a step has saved before it made its change.
type Undo struct {
	Made []string `json:"made,omitempty"` // directories, outermost first
	Was  *Entry   `json:"was,omitempty"`  // nil: nothing is changed yet
}

// MakeDirs makes the directory for path, and has saved before what it makes.
func (u *Undo) MakeDirs(f Files, path string, save func() error) error {
	if len(u.Made) == 0 {
		u.Made = Missing(filepath.Dir(path))
		if len(u.Made) == 0 {
			return nil
		}
		if err := save(); err != nil {
			return err
		}
	}
	return f.MakeDirs(u.Made, 0o755)
}

// Keep puts what is at path into dir, the task's directory, and saves it, unless an
// earlier attempt has done so: what is there now may be of its making.
func (u *Undo) Keep(f Files, dir, path string, save func() error) error {
	if u.Was != nil {
		return nil
	}
	if err := Replaceable(path); err != nil {
		return err
	}
	old, err := Stat(path)
	if err != nil {
		return err
	}
	if !old.Absent && old.Link == "" {
		if dir == "" {
			return errors.New("keeping undo data: the task has no directory")
		}
		if err := f.MakeTree(dir, 0o700); err != nil {
			return fmt.Errorf("making room for undo data: %w", err)
		}
		// The attributes are those of what was kept: another file may be there by now.
		if old.Attrs, err = f.clone(path, filepath.Join(dir, "old"), Headroom); err != nil {
			return fmt.Errorf("keeping the old %s: %w", path, err)
		}
	}
	u.Was = &old
	return save()
}

// Clone durably makes to the same file as from: a second name of it, which
// costs no flash, or else a copy. It returns the attributes of what it has kept.
func (f Files) Clone(from, to string) (Attrs, error) {
	return f.clone(from, to, func(string, uint64, uint64) error { return nil })
}

// clone asks room before it makes a copy.
func (f Files) clone(from, to string, room func(dir string, need, keep uint64) error) (a Attrs, err error) {
	if err := f.Remove(to); err != nil {
		return a, err
	}
	if err := f.Do("link", func() error { return link(from, to) }, from, to); err == nil {
		if err := f.SyncExisting(to); err != nil {
			return a, err
		}
		now, err := Stat(to)
		return now.Attrs, err
	}
	r, err := Open(from)
	if err != nil {
		return a, err
	}
	defer r.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(r.Fd()), &st); err != nil {
		return a, err
	}
	if err := room(filepath.Dir(to), uint64(st.Size), 0); err != nil {
		return a, err
	}
	// The copy may lie where there are no extended attributes: who asked keeps them.
	a = attrsOf(&st)
	if err := f.Write(to, r, a); err != nil {
		return a, err
	}
	a.Extended, err = extendedOf(int(r.Fd()))
	return a, err
}

// Restore brings back what was before, as often as it is called, and takes away
// what was growing beside it.
func (u *Undo) Restore(f Files, dir string) error {
	if u.Was == nil {
		return f.removeDirs(u.Made)
	}
	old := filepath.Join(dir, "old")
	err := f.RemoveDurably(Beside(u.Was.Path, "new"))
	switch w := u.Was; {
	case err != nil:
	case w.stands(old):
		err = f.SyncDir(filepath.Dir(w.Path)) // an undo before this one may have been cut
	case w.Absent:
		err = f.RemoveDurably(w.Path)
	case w.Link != "":
		err = f.relink(w.Link, w.Path)
	default:
		err = f.PutBack(old, w.Path, w.Attrs)
	}
	if err != nil {
		return fmt.Errorf("restoring %s: %w", u.Was.Path, err)
	}
	return f.removeDirs(u.Made)
}

// stands reports whether what is at its path is as it was: then nothing has been done, or
// all of it was undone, and a disk that cannot be written is no reason to fail.
func (w *Entry) stands(old string) bool {
	now, err := Stat(w.Path)
	if err != nil || w.Absent || now.Absent || now.Link != w.Link {
		return false
	}
	if w.Link != "" {
		return true
	}
	return now.Attrs.equal(w.Attrs) && sameContent(now.Path, old)
}

func sameContent(path, other string) bool {
	a, err := Open(path)
	if err != nil {
		return false
	}
	defer a.Close()
	b, err := Open(other)
	if err != nil {
		return false
	}
	defer b.Close()
	same, err := Equal(a, b)
	return same && err == nil
}

// PutBack gives old its attributes where it lies, for nobody else may write
// that directory. Where that cannot hold all of them, what takes the path's place is given
// them, which is a copy then.
func (f Files) PutBack(old, path string, a Attrs) error {
	err := f.resetAttrs(old, a)
	if err != nil {
		bare := a
		bare.Extended = nil
		err = f.resetAttrs(old, bare)
	}
	if err != nil {
		return err
	}
	before, _, err := Lstat(old)
	if err != nil {
		return err
	}
	// Rename does nothing when both names are of one file.
	if now, _, err := Lstat(path); err == nil && now.Dev == before.Dev && now.Ino == before.Ino {
		return f.SyncDir(filepath.Dir(path))
	}
	temp := Beside(path, "new")
	if _, err = f.Clone(old, temp); err != nil {
		return err
	}
	now, err := Stat(temp)
	if err == nil && !now.Attrs.Extended.equal(a.Extended) {
		err = f.SetAttrs(temp, a)
	}
	if err == nil {
		err = f.exchange(temp, path)
	}
	if err != nil {
		return errors.Join(err, f.RemoveDurably(temp))
	}
	return nil
}

func (f Files) relink(to, path string) error {
	temp := Beside(path, "new")
	if err := f.Remove(temp); err != nil {
		return err
	}
	if err := f.Do("symlink", func() error { return symlink(to, temp) }, temp); err != nil {
		return err
	}
	if err := f.exchange(temp, path); err != nil {
		return errors.Join(err, f.RemoveDurably(temp))
	}
	return nil
}

// removeDirs takes away the directories that a step made, unless somebody
// uses them by now.
func (f Files) removeDirs(made []string) error {
	for _, dir := range slices.Backward(made) {
		err := f.RemoveDurably(dir)
		if errors.Is(err, syscall.ENOTEMPTY) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}
