// Package private reads files that others must not read, or at least not change:
// passwords, keys, and whom to trust.
package private

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// Read reads a secret. It is refused where others than its owner can read or
// change it, and where the owner is neither this user nor root.
func Read(file string) ([]byte, error) { return read(file, 0o077, "chmod 600") }

// ReadPublic reads what anybody may know, and is refused where others can change
// it. A group may: those who share one share its files.
func ReadPublic(file string) ([]byte, error) { return read(file, 0o002, "chmod go-w") }

// read judges the file that it opened, not what has the name a moment later.
func read(file string, forbidden os.FileMode, repair string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	mode := info.Mode().Perm()
	switch {
	case info.IsDir():
		return nil, fmt.Errorf("%s is a folder", file)
	case mode&forbidden&0o022 != 0:
		return nil, fmt.Errorf("others can change %s (mode %04o): run %s %s", file, mode, repair, word(file))
	case mode&forbidden != 0:
		return nil, fmt.Errorf("others can read %s (mode %04o): run %s %s", file, mode, repair, word(file))
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && owner.Uid != 0 && int(owner.Uid) != os.Geteuid() {
		return nil, fmt.Errorf("%s belongs to user %d, who can change it: run chown %d %s", file, owner.Uid, os.Geteuid(), word(file))
	}
	return io.ReadAll(f)
}

// word is a file's name as a shell takes it.
func word(file string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+@%:,", r)
	}
	if file != "" && strings.IndexFunc(file, func(r rune) bool { return !plain(r) }) < 0 {
		return file
	}
	return "'" + strings.ReplaceAll(file, "'", `'\''`) + "'"
}
