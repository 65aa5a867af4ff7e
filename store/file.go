package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// growth is by how many bytes the file grows at a time.
const growth = 32 << 10

const fileName = "ratchet.db"

// Path is where the database of a directory lies.
func Path(dir string) string { return filepath.Join(dir, fileName) }

// openMapped opens the file so that it is mapped once, from a descriptor that
// can only read. JFFS2 refuses a shared map of a descriptor that can write, with
// "invalid argument", which is how stock bbolt opens its file. The same way is
// taken on every file system: what the tests see is what a router does.
//
// For that bbolt is handed a read-only descriptor, and after Open has mapped it,
// one that can write takes over its number. Four things make it hold:
//   - the writing one is opened first: on an overlay that copies the file up, and
//     the map must be of the copy;
//   - Open must not write: NoFreelistSync keeps it from doing so;
//   - the map has room for all that MaxSize allows, so it is never made again;
//   - with bbolt's own AllocSize of 16 MiB a full file passes the check of
//     MaxSize and is mapped again, which fails on JFFS2 and leaves no map at all.
//
// NoFreelistSync also saves a page in every commit: 10.7 KB at the device instead
// of 14.8 for a step boundary. The price is that Open looks at all pages. The
// type of the freelist made no difference.
//
// It also returns what the file is, by which it is known again at its path.
func openMapped(path string, g geometry) (*bolt.DB, os.FileInfo, error) {
	writing, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	defer writing.Close()
	info, err := writing.Stat()
	if err != nil {
		return nil, nil, err
	}
	var reading *os.File
	b, err := bolt.Open(path, 0o600, &bolt.Options{
		Timeout:         time.Second, // a tool that reads the file must not block the agent for ever
		NoFreelistSync:  true,
		InitialMmapSize: int(g.maxSize),
		MaxSize:         int(g.maxSize),
		OpenFile: func(name string, _ int, mode os.FileMode) (*os.File, error) {
			reading, err = os.OpenFile(name, os.O_RDONLY, mode)
			return reading, err
		},
	})
	if err != nil {
		return nil, nil, err
	}
	b.AllocSize = growth
	if err := unix.Dup3(int(writing.Fd()), int(reading.Fd()), unix.O_CLOEXEC); err != nil {
		_ = b.Close()
		return nil, nil, err
	}
	return b, info, nil
}

// seed makes a journal with nothing in it.
func seed(path string, g geometry) error {
	return build(path, g, func(b *bolt.DB) error {
		return b.Update(func(tx *bolt.Tx) error {
			for _, name := range buckets {
				if _, err := tx.CreateBucket(name); err != nil {
					return err
				}
			}
			meta := tx.Bucket(bucketMeta)
			return errors.Join(meta.Put(keyNew, isNew), meta.Put(keyID, newID()), meta.Put(keyLevel, fmt.Append(nil, level)))
		})
	})
}

// compact rewrites the file without its free pages.
func compact(path string, g geometry) error {
	// To read only, bbolt can open its file on JFFS2 as it is.
	old, err := bolt.Open(path, 0, &bolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		return err
	}
	defer old.Close()
	return build(path, g, func(b *bolt.DB) error { return bolt.Compact(b, old, 0) })
}

// build makes a database in a temporary place, has fill write into it, and puts it
// at path in one move: there is never half a journal. The temporary place is in
// RAM, where bbolt opens its file without help; kernels before 3.17 need /tmp.
func build(path string, g geometry, fill func(*bolt.DB) error) error {
	b, err := bolt.Open("ratchet-journal-*", 0o600, &bolt.Options{
		PageSize:       g.pageSize,
		NoFreelistSync: true,
		NoSync:         true,
		OpenFile: func(pattern string, _ int, _ os.FileMode) (*os.File, error) {
			if fd, err := unix.MemfdCreate("ratchet-journal", unix.MFD_CLOEXEC); err == nil {
				return os.NewFile(uintptr(fd), "ratchet-journal"), nil
			}
			f, err := os.CreateTemp("", pattern)
			if err == nil {
				err = os.Remove(f.Name())
			}
			return f, err
		},
	})
	if err != nil {
		return err
	}
	defer b.Close()
	if err := fill(b); err != nil {
		return err
	}
	return b.View(func(tx *bolt.Tx) error { return replace(path, tx) })
}

// replace puts what w writes at path; the old file or the new one is there at
// any moment.
func replace(path string, w io.WriterTo) error {
	path, err := filepath.Abs(path)
	if err == nil {
		path, err = safefile.Resolve(path)
	}
	if err != nil {
		return err
	}
	var files safefile.Files
	temp := path + ".tmp"
	f, err := files.Create(temp)
	if err != nil {
		return err
	}
	_, err = w.WriteTo(f)
	if err = errors.Join(err, f.Close()); err == nil {
		err = files.Install(temp, path, safefile.Attrs{Mode: 0o600, UID: -1, GID: -1})
	}
	if err != nil {
		return errors.Join(err, files.Remove(temp))
	}
	return nil
}
