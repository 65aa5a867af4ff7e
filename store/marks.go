package store

import (
	"bytes"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Get returns the small value that Set kept under this name, or nil.
func (db *DB) Get(name string) ([]byte, error) {
	var value []byte
	err := db.bolt.View(func(tx *bolt.Tx) error {
		value = bytes.Clone(tx.Bucket(bucketMarks).Get([]byte(name)))
		return nil
	})
	return value, err
}

// Set keeps a small value, in one commit; where it is there already there is none.
// Nil removes it.
func (db *DB) Set(name string, value []byte) error {
	db.write.Lock()
	defer db.write.Unlock()
	old, err := db.Get(name)
	if err == nil && bytes.Equal(old, value) && (old == nil) == (value == nil) {
		return nil
	}
	if err == nil {
		err = db.update(func(tx *bolt.Tx) error {
			if value == nil {
				return tx.Bucket(bucketMarks).Delete([]byte(name))
			}
			return tx.Bucket(bucketMarks).Put([]byte(name), value)
		})
	}
	if err != nil {
		return fmt.Errorf("keeping %s: %w", name, err)
	}
	return nil
}

// SetSoon keeps a small value with the next commit, whatever that is for; until then
// Get returns the old one. It does not block and touches no disk.
func (db *DB) SetSoon(name string, value []byte) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.values == nil {
		db.values = map[string][]byte{}
	}
	db.values[name] = value
}

// Told records that the other side has the Record up to this rev. It does not block,
// touches no disk, and is durable with the next commit.
func (db *DB) Told(key string, rev uint64) {
	db.mu.Lock()
	defer db.mu.Unlock()
	s, ok := db.jobs[key]
	if !ok || rev <= s.told {
		return
	}
	s.told = rev
	db.jobs[key], db.told[key] = s, rev
}

// Floor is a moment that has certainly passed; zero if none was ever set.
func (db *DB) Floor() time.Time {
	db.mu.Lock()
	defer db.mu.Unlock()
	return moment(db.floor)
}

// SetFloor raises the floor; it is durable with the next commit.
func (db *DB) SetFloor(t time.Time) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.floor = max(db.floor, seconds(t))
}
