package store

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"log/slog"

	bolt "go.etcd.io/bbolt"
)

// A Mark says which journal a device has and how far it is. A journal whose Mark was
// told, and that shows up with fewer commits, is older than what is known of it: a
// backup, an overlay in RAM, or a copy of the disk.
type Mark struct {
	ID      string // empty: none
	Commits uint64
}

// Values of keyNew.
var isNew, isOlder = []byte("1"), []byte("2")

// maxCommits is more than any flash takes. Who claims more is not believed, or the
// counter could not rise any more.
const maxCommits = 1 << 48

// maxMarkID bounds ids that others claim; ours has 16 digits.
const maxMarkID = 16

func newID() []byte {
	var id [8]byte
	_, _ = rand.Read(id[:]) // it never fails
	return hex.AppendEncode(nil, id[:])
}

// Mark is this journal's: all commits that it counts are on disk.
func (db *DB) Mark() Mark {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.mark
}

// Will is Mark for what the broker is to say when this device vanishes on the
// connection that it is about to make.
func (db *DB) Will() Mark {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.excused, db.willed = max(db.excused, db.willed), db.mark.Commits
	return db.mark
}

// Compared notes that what was told of the journal by then is no more than it has.
func (db *DB) Compared() {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.compared = true
}

// Older reports whether the journal lacks what this device once told: until ReadBack
// was called no job is to begin.
func (db *DB) Older() bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.older
}

// Lacks reports whether a journal that this device once told of has more in it than
// this one. Before it was Compared what counts is what it had when it was opened, or
// what a will on an earlier connection may have said: commits that came since, before
// anybody was asked, make up for nothing.
func (db *DB) Lacks(told Mark) bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	has := db.mark.Commits
	if !db.compared {
		has = max(db.opened, db.excused)
	}
	switch told.ID {
	case "":
		return false
	case db.mark.ID:
		return told.Commits > has && told.Commits < maxCommits
	case db.instead.ID:
		return told.Commits > db.instead.Commits
	}
	return len(told.ID) <= maxMarkID
}

// ReadsBack notes, in one commit, whose past is about to be read back: that of a
// journal of which this one Lacks something. A journal that is not New is Older from
// then on, and New again.
func (db *DB) ReadsBack(told Mark) error {
	db.write.Lock()
	defer db.write.Unlock()
	was, read, kind := db.Mark(), db.readMark(), isOlder
	if told.ID != was.ID {
		read = told
	}
	if db.New() && !db.Older() {
		kind = isNew
	}
	db.mu.Lock()
	if told.ID == was.ID {
		db.mark.Commits = max(db.mark.Commits, told.Commits) // what was told is never told again
	}
	db.mu.Unlock()
	err := db.update(func(tx *bolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		if err := meta.Put(keyNew, kind); err != nil || read.ID == "" {
			return err
		}
		return meta.Put(keyRead, append(number(read.Commits), read.ID...))
	})
	db.mu.Lock()
	defer db.mu.Unlock()
	if err != nil {
		db.mark = was
		return fmt.Errorf("noting that the journal is older than what was told: %w", err)
	}
	db.instead, db.isNew, db.older, db.opened = read, true, bytes.Equal(kind, isOlder), db.mark.Commits
	return nil
}

func (db *DB) readMark() Mark {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.instead
}

// loadMark reads what Mark, New and Older say. The caller holds db.mu.
func (db *DB) loadMark(meta *bolt.Bucket) {
	kind := meta.Get(keyNew)
	db.isNew, db.older = kind != nil, bytes.Equal(kind, isOlder)
	db.mark, db.instead = Mark{ID: string(meta.Get(keyID))}, Mark{}
	if v := meta.Get(keyCount); len(v) == 8 {
		db.mark.Commits = binary.BigEndian.Uint64(v)
	}
	db.opened = db.mark.Commits
	if v := meta.Get(keyRead); len(v) > 8 {
		db.instead = Mark{ID: string(v[8:]), Commits: binary.BigEndian.Uint64(v)}
	}
}

// nameOld gives a file that an earlier version made its id, in one commit. Where that
// cannot be written it has none until the next start.
func (db *DB) nameOld(log *slog.Logger) {
	if db.Mark().ID != "" {
		return
	}
	id := newID()
	if err := db.update(func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Put(keyID, id) }); err != nil {
		log.Warn("the journal has no id yet: that it is older than what was told would not show", "err", err)
		return
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	db.mark.ID = string(id)
}
