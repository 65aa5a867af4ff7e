package steptest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// disk knows what a power cut would take: bytes, names and attributes that no
// sync has followed.
type disk struct {
	safe    map[string]int64 // of a file that was written: bytes that are synced
	names   []change         // in directories, oldest first
	attrs   map[string]func() error
	pending func() // what the last operation has changed, once it is done
}

type change struct {
	dir  string
	back func() error
}

// before is called before an operation that will be done.
func (d *disk) before(op string, paths []string) {
	if d.safe == nil {
		d.safe, d.attrs = map[string]int64{}, map[string]func() error{}
	}
	path := paths[len(paths)-1]
	switch op {
	case "open":
		d.track(path)
		if _, err := os.Lstat(path); err != nil {
			d.named(path, restorer(path))
		}
	case "link", "symlink", "mkdir", "remove":
		d.named(path, restorer(path))
	case "write":
		d.track(path)
	case "truncate":
		d.track(path)
		d.pending = func() { d.safe[path] = min(d.safe[path], size(path)) }
	case "attrs":
		if _, lost := d.attrs[path]; !lost {
			d.attrs[path] = attrsOf(path)
		}
	case "sync":
		d.pending = func() { delete(d.safe, path); delete(d.attrs, path) }
	case "syncdir":
		d.pending = func() { d.names = slices.DeleteFunc(d.names, func(c change) bool { return c.dir == path }) }
	case "rename":
		d.renamed(paths[0], path)
	default:
		panic("steptest knows no operation " + op)
	}
}

// applied takes into account that the last operation was done.
func (d *disk) applied() {
	if d.pending != nil {
		d.pending()
	}
	d.pending = nil
}

func (d *disk) track(path string) {
	if _, ok := d.safe[path]; !ok {
		d.safe[path] = size(path)
	}
}

func (d *disk) named(path string, back func() error) {
	d.names = append(d.names, change{filepath.Dir(path), back})
}

func (d *disk) renamed(old, path string) {
	was := restorer(path)
	d.named(path, func() error { return errors.Join(os.Rename(path, old), was()) })
	d.pending = func() {
		delete(d.safe, path)
		if n, ok := d.safe[old]; ok {
			d.safe[path] = n
		}
		delete(d.safe, old)
	}
}

// lose is the power cut. Bytes that were not synced read as zeros.
func (d *disk) lose(names bool) error {
	var errs []error
	for path, n := range d.safe {
		errs = append(errs, blank(path, n))
	}
	for _, back := range d.attrs {
		errs = append(errs, back())
	}
	if names {
		for _, c := range slices.Backward(d.names) {
			errs = append(errs, c.back())
		}
	}
	*d = disk{}
	return errors.Join(errs...)
}

func size(path string) int64 {
	info, err := os.Lstat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

func blank(path string, from int64) error {
	n := size(path) - from
	if n <= 0 {
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(make([]byte, n), from)
	return errors.Join(err, f.Close())
}

// restorer returns what brings path back to how it is now.
func restorer(path string) func() error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return func() error { return os.RemoveAll(path) }
	}
	clear := func() error { return errors.Join(err, os.RemoveAll(path)) }
	switch {
	case err != nil:
		return func() error { return err }
	case info.Mode()&fs.ModeSymlink != 0:
		to, _ := os.Readlink(path)
		return func() error { return errors.Join(clear(), os.Symlink(to, path)) }
	case info.IsDir():
		return func() error { return ignoreExist(os.Mkdir(path, info.Mode().Perm())) }
	}
	content, _ := os.ReadFile(path)
	attrs := attrsOf(path)
	return func() error {
		return errors.Join(clear(), os.WriteFile(path, content, 0o600), attrs())
	}
}

func ignoreExist(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func attrsOf(path string) func() error {
	info, err := os.Lstat(path)
	if err != nil {
		return func() error { return nil }
	}
	sys := info.Sys().(*syscall.Stat_t)
	return func() error {
		err := errors.Join(os.Chown(path, int(sys.Uid), int(sys.Gid)), syscall.Chmod(path, sys.Mode&0o7777))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
}
