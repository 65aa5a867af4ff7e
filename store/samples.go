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

// SwapSamples removes the samples of these Seqs and appends others, in one commit,
// or none if there is nothing to do. It returns the Seqs of the others. Together
// they take at most SampleRoom bytes; beyond that the oldest are dropped.
func (db *DB) SwapSamples(gone []uint64, data ...[]byte) ([]uint64, error) {
	db.write.Lock()
	defer db.write.Unlock()
	if len(gone) == 0 && len(data) == 0 {
		return nil, nil
	}
	var seqs []uint64
	err := db.update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketSamples)
		for _, seq := range gone {
			if err := b.Delete(number(seq)); err != nil {
				return err
			}
		}
		if len(data) == 0 {
			return nil // looking for the last key of an empty bucket, bbolt never ends
		}
		var err error
		if seqs, err = appendSamples(b, data); err != nil {
			return err
		}
		return dropThrough(b, oldestBeyond(b, db.SampleRoom()))
	})
	if err != nil {
		return nil, fmt.Errorf("keeping telemetry: %w", err)
	}
	return seqs, nil
}

func appendSamples(b *bolt.Bucket, data [][]byte) ([]uint64, error) {
	var seqs []uint64
	b.FillPercent = 1 // nothing is ever put between them
	for _, d := range data {
		seq, err := b.NextSequence()
		if err != nil {
			return nil, err
		}
		if err := b.Put(number(seq), d); err != nil {
			return nil, err
		}
		seqs = append(seqs, seq)
	}
	return seqs, nil
}

// SampleRoom is how many bytes of telemetry can wait: a sixteenth of the database.
func (db *DB) SampleRoom() int { return int(db.max / 16) }

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

// Sample returns one of those that wait, or nil if it does not.
func (db *DB) Sample(seq uint64) ([]byte, error) {
	var data []byte
	err := db.bolt.View(func(tx *bolt.Tx) error {
		data = bytes.Clone(tx.Bucket(bucketSamples).Get(number(seq)))
		return nil
	})
	return data, err
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
