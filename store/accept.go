package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"

	"github.com/ratchetd/ratchet/executor"
)

// maxIDs bounds the set of ids that are known.
const maxIDs = 4096

// Verdict is what Accept made of an offer.
type Verdict int

// The verdicts. Only Accepted wrote anything.
const (
	NoRoom   Verdict = iota // the database is too full, or knows too many ids
	Accepted                // the first Record is on disk
	Known                   // this document was accepted before
	Reused                  // another document was accepted under this id before
)

// Accept writes a job's first Record and gives it its Seq. It is idempotent: the
// same job offered again is Known. A job whose cancel came before it is accepted as
// cancelled: its Record says so. Where the disk has no room the verdict is NoRoom,
// without an error.
func (db *DB) Accept(r executor.Record) (Verdict, error) {
	if r.Key == "" || strings.ContainsAny(r.Key, "\x00\x01") {
		return NoRoom, fmt.Errorf("accepting a job: %q cannot be its key", r.Key)
	}
	db.write.Lock()
	defer db.write.Unlock()
	switch digest, known, err := db.Known(r.Key); {
	case err != nil:
		return NoRoom, fmt.Errorf("accepting job %s: %w", r.Key, err)
	case known && digest != "" && digest != r.Digest:
		return Reused, nil
	case known:
		return Known, nil
	case !db.roomFor(r.ID):
		return NoRoom, nil
	}
	switch err := db.accept(r); {
	case isFull(err):
		return NoRoom, nil
	case err != nil:
		return NoRoom, fmt.Errorf("accepting job %s: %w", r.Key, err)
	}
	return Accepted, nil
}

func (db *DB) accept(r executor.Record) error {
	if db.cancelledBefore(r) {
		r.State, r.Reason, r.Ended = executor.Cancelled, "cancelled before it came", r.Accepted
	}
	e := entry{Record: r, Expires: r.Job.Expires}
	err := db.update(func(tx *bolt.Tx) error {
		var err error
		if e.Seq, err = tx.Bucket(bucketJobs).NextSequence(); err != nil {
			return err
		}
		return errors.Join(putText(tx, r), putEntry(tx, e, 0), dropCancel(tx, r.Key))
	})
	if err == nil {
		db.dropCancelMark(r.Key) // what is left was meant for an earlier job, or is too old
		db.remember(e)
	}
	return err
}

func putText(tx *bolt.Tx, r executor.Record) error {
	texts, n := tx.Bucket(bucketTexts), 0
	for piece := range slices.Chunk(r.Text, 4<<10) {
		if err := texts.Put(partKey(r.Key, n), piece); err != nil {
			return err
		}
		n++
	}
	return nil
}

// Known reports whether the key was used, and the digest of the document that used
// it: empty where only a status was read back that does not say it.
func (db *DB) Known(key string) (digest string, known bool, err error) {
	err = db.bolt.View(func(tx *bolt.Tx) error {
		if _, v := bucketOf(tx, key); v != nil {
			e, err := decodeEntry(key, v)
			digest, known = e.Digest, true
			return err
		}
		if v := tx.Bucket(bucketIDs).Get([]byte(key)); v != nil {
			l, err := decodeLine([]byte(key), v)
			digest, known = l.Digest, true
			return err
		}
		return nil
	})
	return digest, known, err
}

// roomFor keeps a quarter of the database for the jobs that are already in it.
func (db *DB) roomFor(id string) bool {
	used, bound := db.Room()
	db.mu.Lock()
	defer db.mu.Unlock()
	return used < bound/4*3 && db.ids+countID(id) <= maxIDs
}

func isFull(err error) bool {
	return errors.Is(err, bolterrors.ErrMaxSizeReached) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}
