package safefile

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Writer is a file that is being written. It has no ReadFrom, so that io.Copy
// goes through Write.
type Writer struct {
	file  *os.File
	files Files
}

// Create opens a new empty file. What lay there is removed first: a link that
// somebody put there is not followed.
func (f Files) Create(path string) (*Writer, error) {
	if err := f.Remove(path); err != nil {
		return nil, err
	}
	return f.Open(path, os.O_CREATE|os.O_EXCL)
}

// Open opens a file to write on where it ends. One that is there already must be
// the agent's: somebody else could change his after it was verified, and could
// have made a second name of a file that he may not write.
func (f Files) Open(path string, flags int) (*Writer, error) {
	g := &Writer{files: f}
	err := f.Do("open", func() (err error) {
		if g.file, err = openAt(path, os.O_RDWR|unix.O_NONBLOCK|flags, 0o600); err != nil {
			return err
		}
		if flags&os.O_EXCL != 0 { // on some file systems all files are somebody else's
			return nil
		}
		if err = own(g.file); err != nil {
			err, g.file = errors.Join(err, g.file.Close()), nil
		}
		return err
	}, path)
	if err != nil {
		return nil, err
	}
	return g, nil
}

// Size is how many bytes it has.
func (g *Writer) Size() (int64, error) {
	info, err := g.file.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Read reads on from where the last Read or Write ended.
func (g *Writer) Read(p []byte) (int, error) { return g.file.Read(p) }

// Write implements io.Writer. What it writes is not durable before Sync.
func (g *Writer) Write(p []byte) (n int, err error) {
	err = g.files.Do("write", func() error {
		n, err = g.file.Write(p)
		return err
	}, g.file.Name())
	return n, err
}

// Sync makes what was written durable.
func (g *Writer) Sync() error {
	return g.files.Do("sync", g.file.Sync, g.file.Name())
}

// Truncate cuts the file to size and goes on writing there.
func (g *Writer) Truncate(size int64) error {
	return g.files.Do("truncate", func() error {
		_, err := g.file.Seek(size, 0)
		return errors.Join(g.file.Truncate(size), err)
	}, g.file.Name())
}

// Close closes the file, and makes nothing durable.
func (g *Writer) Close() error { return g.file.Close() }

// own says why a file is not one that this agent has made, or nil.
func own(file *os.File) error {
	var st unix.Stat_t
	err := unix.Fstat(int(file.Fd()), &st)
	if err == nil && (st.Mode&unix.S_IFMT != unix.S_IFREG || int(st.Uid) != os.Geteuid() || st.Nlink > 1) {
		err = fmt.Errorf("%s is no file of the agent: remove it", file.Name())
	}
	return err
}
