package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Lost is closed when a commit finds that the file has lost its name or its place: it
// was deleted or renamed, or another one lies there. What would be written to it
// nobody would find after a restart, so from then on nothing is.
func (db *DB) Lost() <-chan struct{} { return db.lost }

// inPlace is why the file that is open is not the one at its path, or nil. The caller
// holds db.write.
func (db *DB) inPlace() error {
	now, err := os.Stat(db.path)
	what := "another file is there"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		what = "no file is there"
	case err != nil || os.SameFile(now, db.file):
		return nil
	}
	select {
	case <-db.lost:
	default:
		close(db.lost)
	}
	return fmt.Errorf("the journal has lost its place, %s: %s now", db.path, what)
}
