package store

import (
	"fmt"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Bounds of what is remembered of cancels whose job never came.
const (
	maxEarly = 256
	earlyFor = 30 * 24 * time.Hour
)

// Cancel marks the job durably, in one commit, until it is final; a job that is
// final stays so, and costs none. The mark of an unknown job waits for it.
func (db *DB) Cancel(id string) error {
	db.write.Lock()
	defer db.write.Unlock()
	if db.Cancelled(id) || id == "" {
		return nil
	}
	s, open := db.standing(id)
	if _, known, err := db.Known(id); err != nil || s.final || known && !open {
		return err
	}
	now := db.now().Unix()
	var drop []string
	if !open {
		drop = db.oldEarly()
	}
	err := db.update(func(tx *bolt.Tx) error {
		for _, key := range drop {
			if err := tx.Bucket(bucketCancels).Delete([]byte(key)); err != nil {
				return err
			}
		}
		return put(tx.Bucket(bucketCancels), []byte(id), number(uint64(now)))
	})
	if err != nil {
		return fmt.Errorf("marking job %s as cancelled: %w", id, err)
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	for _, key := range drop {
		delete(db.cancels, key)
	}
	db.cancels[id] = now
	return nil
}

// Cancelled tells whether a cancel of the job came that is not done yet.
func (db *DB) Cancelled(id string) bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	at, ok := db.cancels[id]
	_, open := db.jobs[id]
	return ok && (open || !db.outdated(at))
}

func (db *DB) outdated(at int64) bool { return db.now().Sub(time.Unix(at, 0)) > earlyFor }

// oldEarly lists the marks of unknown jobs that have to go to make room for one.
func (db *DB) oldEarly() []string {
	db.mu.Lock()
	defer db.mu.Unlock()
	var early, drop []string
	for id, at := range db.cancels {
		if _, open := db.jobs[id]; open {
			continue
		}
		if db.outdated(at) {
			drop = append(drop, id)
		} else {
			early = append(early, id)
		}
	}
	slices.SortFunc(early, func(a, b string) int {
		if db.cancels[a] != db.cancels[b] {
			return int(db.cancels[a] - db.cancels[b])
		}
		return strings.Compare(a, b)
	})
	return append(drop, early[:max(0, len(early)+1-maxEarly)]...)
}
