package store

import (
	"errors"
	"sort"

	bolt "go.etcd.io/bbolt"

	"github.com/ratchetd/ratchet/executor"
)

// Record returns the Record under this key, if there is one. Of a pruned one
// only the last line is left: it has no Text and no Steps.
func (db *DB) Record(key string) (executor.Record, bool, error) {
	var r executor.Record
	found := true
	err := db.bolt.View(func(tx *bolt.Tx) error {
		e, err := read(tx, key)
		if !errors.Is(err, errGone) {
			r = e.Record
			return err
		}
		value := tx.Bucket(bucketIDs).Get([]byte(key))
		if found = value != nil; !found {
			return nil
		}
		l, err := decodeLine([]byte(key), value)
		r = l.record(key)
		return err
	})
	return r, found && err == nil, err
}

// Unfinished returns the Records that are not final, in the order in which they
// were accepted.
func (db *DB) Unfinished() ([]executor.Record, error) {
	return db.read(db.keys(func(s standing) bool { return !s.final }))
}

// Untold returns the Records of which the other side does not know the latest
// rev, in the order in which they were accepted.
func (db *DB) Untold() ([]executor.Record, error) {
	return db.read(db.keys(func(s standing) bool { return s.rev > s.told }))
}

func (db *DB) read(keys []string) ([]executor.Record, error) {
	var records []executor.Record
	err := db.bolt.View(func(tx *bolt.Tx) error {
		for _, key := range keys {
			e, err := read(tx, key)
			if errors.Is(err, errGone) {
				continue
			}
			if err != nil {
				return err
			}
			records = append(records, e.Record)
		}
		return nil
	})
	return records, err
}

// Records returns all Records, in the order in which they were accepted. Those
// that were pruned have no Text and no Steps.
func (db *DB) Records() ([]executor.Record, error) {
	records, err := db.read(db.keys(func(standing) bool { return true }))
	if err != nil {
		return nil, err
	}
	err = db.bolt.View(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketIDs).ForEach(func(k, v []byte) error {
			l, err := decodeLine(k, v)
			records = append(records, l.record(string(k)))
			return err
		})
	})
	sort.SliceStable(records, func(i, j int) bool { return records[i].Seq < records[j].Seq })
	return records, err
}
