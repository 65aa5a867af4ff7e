package store

import (
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/ratchetd/ratchet/executor"
)

// Replace puts the first Record of another document in the place of a job that has
// not begun, in one commit: after a cut there is the one or the other. It reports
// whether it did; it does not where the job has begun, is cancelled or is gone. Whoever
// still has the old Record in hand gets executor.ErrReplaced from Put.
func (db *DB) Replace(r executor.Record) (bool, error) {
	return db.unbegun(r.Key, func(tx *bolt.Tx, was entry) error {
		var err error
		if r.Seq, err = tx.Bucket(bucketJobs).NextSequence(); err != nil {
			return err
		}
		r.Rev = was.Rev + 1 // so that readers take its status for the newer one
		e := entry{Record: r, Expires: r.Job.Expires, Told: was.Told}
		return errors.Join(dropJob(tx, r.Key), putText(tx, r), putEntry(tx, e, 0))
	}, func() { db.enter(entry{Record: r}) })
}

// Withdraw forgets a job that has not begun, as if it had never been offered, in one
// commit. It reports whether it did, as Replace does. Its id is Uncleared from then on.
func (db *DB) Withdraw(key string) (bool, error) {
	var id string
	db.unclear(key)
	done, err := db.unbegun(key, func(tx *bolt.Tx, was entry) error {
		id = was.ID
		return dropJob(tx, key)
	}, func() {
		db.ids -= countID(id)
		delete(db.jobs, key)
		delete(db.told, key)
	})
	if !done {
		db.Cleared(key)
	}
	return done, err
}

// unbegun changes a job that has not begun: write what is on the disk, and seen, with
// db.mu held, the picture in RAM.
func (db *DB) unbegun(key string, write func(*bolt.Tx, entry) error, seen func()) (bool, error) {
	db.write.Lock()
	defer db.write.Unlock()
	if db.Cancelled(key) {
		return false, nil
	}
	err := db.update(func(tx *bolt.Tx) error {
		value := tx.Bucket(bucketJobs).Get(stateKey(key))
		if value == nil {
			return errGone
		}
		was, err := decodeEntry(key, value)
		if err == nil && was.State != executor.Queued {
			err = errGone
		}
		if err != nil {
			return err
		}
		return write(tx, was)
	})
	switch {
	case errors.Is(err, errGone):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("changing job %s, which has not begun: %w", key, err)
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	seen()
	return true, nil
}

// dropJob removes all that is kept of an unfinished job.
func dropJob(tx *bolt.Tx, key string) error {
	return errors.Join(dropKey(tx.Bucket(bucketJobs), key), dropKey(tx.Bucket(bucketTexts), key))
}
