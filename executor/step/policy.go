package step

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Policy is what the owner of the device lets jobs do. The zero value lets
// them read and write all but what no policy can open.
type Policy struct {
	// Protected are files and trees that no job may read or write: the agent's
	// state, its config, keys, secrets and binary.
	Protected []string
	Paths     []string // the only trees that may be written; nil is all
	Commands  []string // patterns of the programs that may be run; nil is all
	URLs      []string // patterns of the hosts that may be reached; nil is all
	Users     []string // the only ones as whom programs may be run; nil is all
	MaxSize   int64    // bytes that one step may move; 0 is any number
}

// Writable says why a job may not write path, or nil.
func (p Policy) Writable(path string) error {
	if err := p.open(path, "written"); err != nil || p.Paths == nil {
		return err
	}
	for _, follow := range []func(string) (string, error){resolveParent, resolve} {
		real, err := follow(path)
		if err != nil {
			continue
		}
		if !slices.ContainsFunc(p.Paths, func(tree string) bool { return within(real, tree) }) {
			return fmt.Errorf("%s: policy.paths does not allow it to be written", path)
		}
	}
	return nil
}

// Readable says why a job may not read path, or nil.
func (p Policy) Readable(path string) error { return p.open(path, "read") }

func (p Policy) open(path, verb string) error {
	for _, follow := range []func(string) (string, error){resolveParent, resolve} {
		real, err := follow(path)
		if err != nil {
			continue // a link that leads nowhere opens nothing
		}
		// /proc shows the agent's own memory and environment.
		for _, kept := range append([]string{"/proc"}, p.Protected...) {
			if within(real, kept) || real == beside(kept, "new") {
				return fmt.Errorf("%s is protected: it cannot be %s by a job", path, verb)
			}
		}
	}
	return nil
}

// within tells whether path is tree or lies below it, also when a bind mount
// or a hard link gives it another name.
func within(path, tree string) bool {
	if real, err := resolve(tree); err == nil {
		tree = real
	}
	top, _ := os.Stat(tree)
	for {
		if path == tree {
			return true
		}
		if info, err := os.Stat(path); err == nil && top != nil && os.SameFile(info, top) {
			return true
		}
		if path == "/" {
			return false
		}
		path = filepath.Dir(path)
	}
}

// resolve follows the links in path, as far as path exists.
func resolve(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, syscall.ENOTDIR) {
		return "", fmt.Errorf("%s: what stands before its last slash is a file", path)
	}
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return real, err
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return "", fmt.Errorf("%s is a link that leads nowhere: remove it or make what it points to", path)
	}
	return resolveParent(path)
}

// resolveParent follows the links in path but not path itself when it is one.
func resolveParent(path string) (string, error) {
	dir, err := resolve(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, filepath.Base(path)), nil
}

// checkPath says why a parameter cannot name a file, or nil.
func checkPath(path string) error {
	switch {
	case path == "":
		return errors.New("want an absolute path")
	case !filepath.IsAbs(path), filepath.Clean(path) != path, path == "/", strings.Contains(path, "\x00"):
		return fmt.Errorf("%q: want an absolute path of a file, without . or .. or a slash at its end", path)
	}
	return nil
}
