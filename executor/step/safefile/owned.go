package safefile

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Owned is where path leads, without links, where nobody but root and the agent's
// own user can change what lies there or lead it elsewhere: neither the file, nor
// a directory above it, nor a link on the way is anybody else's to write. A
// directory with the sticky bit, such as /tmp, protects what root owns in it.
func Owned(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	at, links := "/", 0
	for names := strings.Split(path, "/"); len(names) > 0; {
		name := names[0]
		names = names[1:]
		next := filepath.Join(at, name)
		if next == at || name == ".." {
			at = next
			continue
		}
		info, err := os.Lstat(next)
		if err != nil {
			return "", err
		}
		if err := owned(info, next); err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		to, err := os.Readlink(next)
		if links++; err != nil || links > maxLinks {
			return "", fmt.Errorf("%s: its links do not end", path)
		}
		if filepath.IsAbs(to) {
			at = "/"
		}
		names = append(strings.Split(to, "/"), names...)
	}
	return at, nil
}

// owned says why others could change a file, or nil. What a link says is its owner's.
func owned(info fs.FileInfo, path string) error {
	uid := info.Sys().(*syscall.Stat_t).Uid
	sticky := info.IsDir() && info.Mode()&fs.ModeSticky != 0 // who may write there may not touch what is of others
	switch {
	case uid != 0 && int(uid) != os.Geteuid():
		return fmt.Errorf("%s belongs to the user %d, who could change it: run chown root %s", path, uid, path)
	case info.Mode()&fs.ModeSymlink == 0 && info.Mode().Perm()&0o022 != 0 && !sticky:
		return fmt.Errorf("others can write %s: run chmod go-w %s", path, path)
	}
	return nil
}
