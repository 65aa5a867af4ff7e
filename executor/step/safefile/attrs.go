package safefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Attrs are the permission bits as chmod takes them, the owner, and what else a name
// carries. An id of -1 is left as it is, and so are extended attributes that are nil.
type Attrs struct {
	Mode     uint32   `json:"mode,omitempty"`
	UID      int      `json:"uid,omitempty"`
	GID      int      `json:"gid,omitempty"`
	Extended Extended `json:"extended,omitzero"`
}

// Rights are the permission bits, with that of set-user-id where capabilities let a
// program do more than its user may.
func (a Attrs) Rights() uint32 {
	if a.Extended[capabilities] != nil {
		return a.Mode | unix.S_ISUID
	}
	return a.Mode
}

// equal reports whether two files have the same.
func (a Attrs) equal(b Attrs) bool {
	return a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID && a.Extended.equal(b.Extended)
}

// SetAttrs durably gives a file that the agent has made its owner and mode. It
// is the file itself that is changed, through its descriptor: whoever may write
// its directory could put a link to another one there meanwhile, and be given
// that. He could also put a file of his own there, or a second name of one that
// he may not write: neither becomes what the job's file was to be.
func (f Files) SetAttrs(path string, a Attrs) error { return f.changeAttrs(path, a, a.mayBecome) }

// resetAttrs is setAttrs of a file in a directory that nobody else may write.
func (f Files) resetAttrs(path string, a Attrs) error {
	return f.changeAttrs(path, a, func(*os.File) error { return nil })
}

// mayBecome says why a file that is not as the agent made it may not have a, or
// nil. On some file systems all files are somebody else's: what is his already
// he may keep.
func (a Attrs) mayBecome(file *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		return err
	}
	his := (a.UID == -1 || a.UID == int(st.Uid)) && (a.Mode&unix.S_ISGID == 0 || a.GID == -1 || a.GID == int(st.Gid))
	if st.Nlink > 1 || int(st.Uid) != os.Geteuid() && !his {
		return fmt.Errorf("%s is not the file that the agent has made: somebody has exchanged it: let the step retry", file.Name())
	}
	return nil
}

// changeAttrs changes what differs, the owner first: that clears the set-user-id bit and
// capabilities. An access list sets the mode too, so that comes last.
func (f Files) changeAttrs(path string, a Attrs, permit func(*os.File) error) error {
	err := f.Do("attrs", func() error {
		file, err := Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := permit(file); err != nil {
			return err
		}
		if err := a.chown(file); err != nil {
			return err
		}
		given := a.Extended.give(file)
		if given != nil && a.Extended[serverList] == nil {
			return given
		}
		var st unix.Stat_t
		err = unix.Fstat(int(file.Fd()), &st)
		if err == nil && st.Mode&0o7777 != a.Mode {
			err = unix.Fchmod(int(file.Fd()), a.Mode)
		}
		if err != nil {
			return &fs.PathError{Op: "chmod", Path: path, Err: err}
		}
		if given != nil { // a list that is made of the mode may not be set, and is right by now
			return a.Extended.give(file)
		}
		return nil
	}, path)
	if err != nil {
		return err
	}
	return f.Sync(path)
}

// chown gives a file its owner. One that is right already is not set again: that would
// take away the capabilities of a program, and some file systems refuse it.
func (a Attrs) chown(file *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		return &fs.PathError{Op: "stat", Path: file.Name(), Err: err}
	}
	uid, gid := a.UID, a.GID
	if uid == int(st.Uid) {
		uid = -1
	}
	if gid == int(st.Gid) {
		gid = -1
	}
	if uid == -1 && gid == -1 {
		return nil
	}
	return file.Chown(uid, gid)
}

func attrsOf(st *unix.Stat_t) Attrs {
	return Attrs{Mode: st.Mode & 0o7777, UID: int(st.Uid), GID: int(st.Gid)}
}

// Covers reports whether a file that has b needs no change to have a.
func (a Attrs) Covers(b Attrs) bool {
	return a.Mode == b.Mode && (a.UID == -1 || a.UID == b.UID) && (a.GID == -1 || a.GID == b.GID)
}

// AttrsFor is what mode and owner ask for; what they leave out stays as it
// was, and a new file gets 0644.
func AttrsFor(mode, owner string, old Entry) (Attrs, error) {
	a := old.Attrs
	if old.Absent {
		a = Attrs{Mode: 0o644, UID: -1, GID: -1}
	}
	if mode != "" {
		m, err := parseMode(mode)
		if err != nil {
			return a, err
		}
		a.Mode = m
	}
	if owner == "" {
		return a, nil
	}
	uid, gid, err := lookupOwner(owner)
	if gid == -1 {
		gid = a.GID
	}
	a.UID, a.GID = uid, gid
	return a, err
}

func parseMode(s string) (uint32, error) {
	m, err := strconv.ParseUint(s, 8, 32)
	if err != nil || m > 0o7777 {
		return 0, fmt.Errorf("mode: %q: want octal digits such as \"0644\"", s)
	}
	return uint32(m), nil
}

// CheckAttrs says why mode and owner are not in their form, or nil.
func CheckAttrs(mode, owner string) error {
	if mode != "" {
		if _, err := parseMode(mode); err != nil {
			return err
		}
	}
	name, group, colon := strings.Cut(owner, ":")
	if owner != "" && name == "" || colon && group == "" || strings.Contains(group, ":") {
		return fmt.Errorf("owner: %q: want \"user\" or \"user:group\"", owner)
	}
	return nil
}

// lookupOwner turns "user" or "user:group" into ids; without a group gid is -1.
func lookupOwner(owner string) (uid, gid int, err error) {
	name, group, _ := strings.Cut(owner, ":")
	if uid, err = strconv.Atoi(name); err != nil {
		u, err := LookupUser(name)
		if err != nil {
			return 0, 0, fmt.Errorf("owner: %w", err)
		}
		uid, _ = strconv.Atoi(u.Uid)
	}
	if group == "" {
		return uid, -1, nil
	}
	if gid, err = strconv.Atoi(group); err != nil {
		g, err := user.LookupGroup(group)
		if err != nil {
			return 0, 0, fmt.Errorf("owner: group %q does not exist on this device", group)
		}
		gid, _ = strconv.Atoi(g.Gid)
	}
	return uid, gid, nil
}

// LookupUser finds a user by name or by number.
func LookupUser(name string) (*user.User, error) {
	u, err := user.Lookup(name)
	if err != nil {
		u, err = user.LookupId(name)
	}
	if err != nil {
		return nil, fmt.Errorf("user %q does not exist on this device", name)
	}
	return u, nil
}

// Stat tells what is at path, which is followed no further.
func Stat(path string) (Entry, error) {
	var x Extended
	st, to, err := lstat(path, func(fd int) (err error) {
		x, err = extendedOf(fd)
		return err
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Entry{Path: path, Absent: true}, nil
	case err != nil:
		return Entry{}, err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		a := attrsOf(&st)
		a.Extended = x
		return Entry{Path: path, Attrs: a}, nil
	case unix.S_IFLNK:
		return Entry{Path: path, Link: to}, nil
	case unix.S_IFDIR:
		return Entry{}, fmt.Errorf("%s is a directory: want the path of a file", path)
	}
	return Entry{}, fmt.Errorf("%s is no regular file", path)
}
