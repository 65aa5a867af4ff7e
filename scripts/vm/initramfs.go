package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A tree is what a root file system holds, by path without a leading slash.
// A directory ends in a slash, a link's text begins with "->".
type tree map[string][]byte

func (t tree) text(path, text string) { t[path] = []byte(text) }

// file takes a file of this machine in.
func (t tree) file(path, from string) error {
	text, err := os.ReadFile(from)
	if err == nil {
		t[path] = text
	}
	return err
}

// applets makes links to busybox, and the directories that a system has.
func (t tree) applets(dirs, names []string) {
	for _, dir := range dirs {
		t[dir+"/"] = nil
	}
	for _, name := range names {
		t.text("bin/"+name, "->busybox")
	}
}

// loads takes modules in, and the list by which they are loaded.
func (t tree) loads(modules []string) error {
	var order strings.Builder
	for _, path := range modules {
		name := filepath.Base(path)
		fmt.Fprintln(&order, name)
		if err := t.file("modules/"+name, path); err != nil {
			return err
		}
	}
	t.text("modules/order", order.String())
	return nil
}

// paths are those of the tree and of the directories above them, in order.
func (t tree) paths() []string {
	for _, path := range slices.Collect(keys(t)) {
		for dir := filepath.Dir(strings.TrimSuffix(path, "/")); dir != "."; dir = filepath.Dir(dir) {
			t[dir+"/"] = nil
		}
	}
	return slices.Sorted(keys(t))
}

func keys(t tree) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range t {
			if !yield(k) {
				return
			}
		}
	}
}

// entry returns the mode and the content of one.
func (t tree) entry(path string) (mode uint32, content []byte) {
	switch text := t[path]; {
	case strings.HasSuffix(path, "/"):
		return 0o040755, nil
	case bytes.HasPrefix(text, []byte("->")):
		return 0o120777, text[2:]
	default:
		return 0o100755, text
	}
}

// cpio is the tree as a kernel takes it for its first root.
func (t tree) cpio() []byte {
	var out bytes.Buffer
	put := func(ino int, name string, mode uint32, content []byte) {
		fmt.Fprintf(&out, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", ino, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0)
		out.WriteString(name + "\x00")
		pad(&out)
		out.Write(content)
		pad(&out)
	}
	for i, path := range t.paths() {
		mode, content := t.entry(path)
		put(i+1, strings.TrimSuffix(path, "/"), mode, content)
	}
	put(0, "TRAILER!!!", 0, nil)
	return out.Bytes()
}

func pad(b *bytes.Buffer) { b.Write(make([]byte, (4-b.Len()%4)%4)) }

// write lays the tree down in a directory, which it empties first.
func (t tree) write(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	for _, path := range t.paths() {
		mode, content := t.entry(path)
		to, err := filepath.Join(dir, path), error(nil)
		switch mode & 0o170000 {
		case 0o040000:
			err = os.MkdirAll(to, fs.FileMode(mode&0o777))
		case 0o120000:
			err = os.Symlink(string(content), to)
		default:
			err = os.WriteFile(to, content, fs.FileMode(mode&0o777))
		}
		if err != nil {
			return err
		}
	}
	return os.Chmod(dir, 0o755)
}
