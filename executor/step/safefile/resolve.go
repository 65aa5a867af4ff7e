package safefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ratchetd/ratchet/telemetry/look"
)

// maxLinks is how many a path may have, as in the kernel.
const maxLinks = 40

// Resolve follows the links in path, as far as path exists: those that root or
// the agent's own user has made, and others where they lead to what is of the
// link's own owner. Who may write a directory that a job writes in could else
// point it at what he may not write.
func Resolve(path string) (string, error) {
	links := 0
	return resolve("/", path, &links)
}

// resolve goes on along path from dir, which is without links.
func resolve(dir, path string, links *int) (string, error) {
	fd, err := descend(dir)
	if err != nil {
		return "", &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	defer func() { _ = unix.Close(fd) }()
	names := strings.Split(path, "/")
	for i, name := range names {
		if name == "" || name == "." {
			continue
		}
		next := filepath.Join(dir, name)
		if err := look.Enter(next); err != nil {
			return "", err
		}
		at, st, to, err := entryIn(fd, name)
		// Nothing goes up again from a directory that is not there.
		if errors.Is(err, fs.ErrNotExist) && !slices.Contains(names[i:], "..") {
			return filepath.Join(dir, filepath.Join(names[i:]...)), nil
		}
		if err != nil {
			return "", &fs.PathError{Op: "lstat", Path: next, Err: err}
		}
		_ = unix.Close(fd)
		fd, dir = at, next
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFDIR:
		case unix.S_IFLNK:
			real, err := leads(next, to, st.Uid, links)
			if err != nil || i == len(names)-1 {
				return real, err
			}
			return resolve(real, strings.Join(names[i+1:], "/"), links)
		default:
			if i < len(names)-1 {
				return "", fmt.Errorf("%s is a file: want a directory there", next)
			}
		}
	}
	return dir, nil
}

// leads is where the link at path leads, which says to and is of owner.
func leads(path, to string, owner uint32, links *int) (string, error) {
	if *links++; *links > maxLinks {
		return "", fmt.Errorf("%s: more than %d links", path, maxLinks)
	}
	from := filepath.Dir(path)
	if filepath.IsAbs(to) {
		from = "/"
	}
	real, err := resolve(from, to, links)
	if err != nil {
		return "", err
	}
	at, _, err := Lstat(real)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%s is a link that leads nowhere: remove it or make what it points to", path)
	case err == nil && owner != 0 && int(owner) != os.Geteuid() && owner != at.Uid:
		return "", fmt.Errorf("%s is a link of the user %d to %s, which is not his: name the real path, or let root make the link", path, owner, real)
	}
	return real, err
}
