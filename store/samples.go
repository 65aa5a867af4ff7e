package store

import (
	"bytes"
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// A Sample is one piece of telemetry that waits to be sent.
type Sample struct {
	Seq  uint64
	Data []byte
}

// PutSamples appends to what waits, in one commit. All that waits is bounded to
// a sixteenth of the database; the oldest make room.
func (db *DB) PutSamples(data ...[]byte) error {
	db.write.Lock()
	defer db.write.Unlock()
	if len(data) == 0 {
		return nil
	}
	err := db.update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketSamples)
		for _, d := range data {
			seq, err := b.NextSequence()
			if err != nil {
				return err
			}
			if err := b.Put(number(seq), d); err != nil {
				return err
			}
		}
		return dropThrough(b, oldestBeyond(b, int(db.max/16)))
	})
	if err != nil {
		return fmt.Errorf("keeping telemetry: %w", err)
	}
	return nil
}

// oldestBeyond returns the newest Seq that no longer fits into room, or 0.
func oldestBeyond(b *bolt.Bucket, room int) uint64 {
	c := b.Cursor()
	for k, v := c.Last(); k != nil; k, v = c.Prev() {
		if room -= len(k) + len(v); room < 0 {
			return binary.BigEndian.Uint64(k)
		}
	}
	return 0
}

// Samples returns what waits, oldest first.
func (db *DB) Samples() ([]Sample, error) {
	var all []Sample
	err := db.bolt.View(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketSamples).ForEach(func(k, v []byte) error {
			all = append(all, Sample{binary.BigEndian.Uint64(k), bytes.Clone(v)})
			return nil
		})
	})
	return all, err
}

// DropSamples forgets those up to and with this Seq, in one commit, or none if
// there are none.
func (db *DB) DropSamples(through uint64) error {
	db.write.Lock()
	defer db.write.Unlock()
	any := false
	err := db.bolt.View(func(tx *bolt.Tx) error {
		k, _ := tx.Bucket(bucketSamples).Cursor().First()
		any = k != nil && binary.BigEndian.Uint64(k) <= through
		return nil
	})
	if err == nil && any {
		err = db.update(func(tx *bolt.Tx) error { return dropThrough(tx.Bucket(bucketSamples), through) })
	}
	if err != nil {
		return fmt.Errorf("dropping telemetry: %w", err)
	}
	return nil
}

func dropThrough(b *bolt.Bucket, through uint64) error {
	for {
		k, _ := b.Cursor().First()
		if k == nil || binary.BigEndian.Uint64(k) > through {
			return nil
		}
		if err := b.Delete(k); err != nil {
			return err
		}
	}
}
