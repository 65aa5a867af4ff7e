package machine

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Tree is what a root file system holds, by path without a leading slash.
// A directory ends in a slash, a link's text begins with "->".
type Tree map[string][]byte

// Text makes a file of the text, or the link or directory that it means.
func (t Tree) Text(path, text string) { t[path] = []byte(text) }

// File takes a file of this machine in.
func (t Tree) File(path, from string) error {
	text, err := os.ReadFile(from)
	if err == nil {
		t[path] = text
	}
	return err
}

// Applets makes links to busybox, and the directories that a system has.
func (t Tree) Applets(dirs, names []string) {
	for _, dir := range dirs {
		t[dir+"/"] = nil
	}
	for _, name := range names {
		t.Text("bin/"+name, "->busybox")
	}
}

// Loads takes modules in, and the list by which they are loaded.
func (t Tree) Loads(modules []string) error {
	var order strings.Builder
	for _, path := range modules {
		name := filepath.Base(path)
		fmt.Fprintln(&order, name)
		if err := t.File("modules/"+name, path); err != nil {
			return err
		}
	}
	t.Text("modules/order", order.String())
	return nil
}

// paths are those of the tree and of the directories above them, in order.
func (t Tree) paths() []string {
	for _, path := range slices.Collect(keys(t)) {
		for dir := filepath.Dir(strings.TrimSuffix(path, "/")); dir != "."; dir = filepath.Dir(dir) {
			t[dir+"/"] = nil
		}
	}
	return slices.Sorted(keys(t))
}

func keys(t Tree) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range t {
			if !yield(k) {
				return
			}
		}
	}
}

// entry returns the mode and the content of one.
func (t Tree) entry(path string) (mode uint32, content []byte) {
	switch text := t[path]; {
	case strings.HasSuffix(path, "/"):
		return 0o040755, nil
	case bytes.HasPrefix(text, []byte("->")):
		return 0o120777, text[2:]
	default:
		return 0o100755, text
	}
}

// CPIO is the tree as a kernel takes it for its first root.
func (t Tree) CPIO() []byte {
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

// Write lays the tree down in a directory, which it empties first.
func (t Tree) Write(dir string) error {
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
