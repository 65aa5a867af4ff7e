package steptest

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// tree is all that lies in a directory: by path, what it is and holds.
type tree map[string]string

func look(dir string) (tree, error) {
	t := tree{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		t[name], err = describe(path)
		return err
	})
	return t, err
}

func describe(path string) (string, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	sys := info.Sys().(*syscall.Stat_t)
	is := fmt.Sprintf("%s %d:%d", info.Mode(), sys.Uid, sys.Gid)
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		to, err := os.Readlink(path)
		return is + " -> " + to, err
	case info.IsDir():
		return is, nil
	}
	content, err := os.ReadFile(path)
	return fmt.Sprintf("%s %d bytes %.6x", is, len(content), sha256.Sum256(content)), err
}

// diff says in what the tree is not as wanted.
func (t tree) diff(want tree) error {
	both := maps.Clone(t)
	maps.Copy(both, want)
	for _, name := range slices.Sorted(maps.Keys(both)) {
		if t[name] != want[name] {
			return fmt.Errorf("%s: got %q, want %q", name, t[name], want[name])
		}
	}
	return nil
}
