package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	bolt "go.etcd.io/bbolt"

	"github.com/ratchetd/ratchet/executor"
)

// A levelError is the schema level of a file that a newer agent wrote.
type levelError int

func (l levelError) Error() string {
	return fmt.Sprintf("it was written by a newer agent (schema level %d, this one knows %d)", int(l), level)
}

// load builds the picture of the file in RAM from nothing. What does not decode is
// an error.
func (db *DB) load() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.jobs, db.told, db.cancels, db.ids, db.floor = map[string]standing{}, map[string]uint64{}, map[string]cancelMark{}, 0, 0
	return db.bolt.View(func(tx *bolt.Tx) error {
		if err := checkLevel(tx); err != nil {
			return unusable("%w", err)
		}
		meta := tx.Bucket(bucketMeta)
		db.loadMark(meta)
		db.loadUncleared(tx.Bucket(bucketMarks).Get([]byte(unclearedName)))
		if v := meta.Get(keyFloor); len(v) == 8 {
			db.floor = int64(binary.BigEndian.Uint64(v))
		}
		err := errors.Join(
			tx.Bucket(bucketJobs).ForEach(db.loadStates(false)),
			tx.Bucket(bucketPast).ForEach(db.loadStates(true)),
			tx.Bucket(bucketIDs).ForEach(db.loadID),
			tx.Bucket(bucketCancels).ForEach(db.loadCancel))
		if err != nil {
			return unusable("%w", err)
		}
		return nil
	})
}

func checkLevel(tx *bolt.Tx) error {
	meta := tx.Bucket(bucketMeta)
	if meta == nil {
		return errors.New("it is another program's database")
	}
	n, err := strconv.Atoi(string(meta.Get(keyLevel)))
	if err != nil || n < 1 {
		return errors.New("its schema level cannot be read")
	}
	if n > level {
		return levelError(n)
	}
	for _, name := range buckets {
		if tx.Bucket(name) == nil {
			return fmt.Errorf("its bucket %s is missing", name)
		}
	}
	return nil
}

// loadStates returns a func that reads the states among the values of jobs or past.
func (db *DB) loadStates(final bool) func(k, v []byte) error {
	return func(k, v []byte) error {
		key, ok := keyOfState(k)
		if !ok {
			return nil
		}
		e, err := decodeEntry(key, v)
		if err == nil && e.State.Final() != final {
			err = fmt.Errorf("job %q: its state cannot be %q", key, e.State)
		}
		if err == nil {
			db.enter(e)
			s := db.jobs[key]
			s.opened = s.rev
			db.jobs[key] = s
		}
		return err
	}
}

func (db *DB) loadID(k, v []byte) error {
	l, err := decodeLine(k, v)
	if err == nil && !l.State.Final() {
		err = fmt.Errorf("id %q: its state cannot be %q", k, l.State)
	}
	db.ids += countID(l.ID)
	return err
}

func (db *DB) loadCancel(k, v []byte) error {
	if len(v) != 8 {
		return fmt.Errorf("cancel of %q: damaged", k)
	}
	id, ofSignature := strings.CutSuffix(string(k), "\x00")
	c, at := db.cancels[id], int64(binary.BigEndian.Uint64(v))
	if ofSignature {
		c.signed = at
	} else {
		c.came = at
	}
	db.cancels[id] = c
	return nil
}

// enter puts a Record that is on disk into the picture in RAM. The caller holds db.mu.
func (db *DB) enter(e entry) {
	was, known := db.jobs[e.Key]
	if !known {
		db.ids += countID(e.ID)
	}
	// A Told that came while this was being written counts.
	db.jobs[e.Key] = standing{seq: e.Seq, rev: e.Rev, told: max(e.Told, was.told), opened: was.opened, signed: seconds(e.Signed.Time), final: e.State.Final()}
}

// failUnreadable ends the jobs whose document is damaged, or was taken by a newer
// agent and means nothing to this one: they could not go on, and must not stay
// without a final state.
func (db *DB) failUnreadable() error {
	var ended []entry
	for _, key := range db.keys(func(s standing) bool { return !s.final }) {
		err := db.bolt.View(func(tx *bolt.Tx) error {
			e, err := read(tx, key)
			if err != nil {
				return err
			}
			if _, err := parse(e); err != nil {
				e.State, e.Reason, e.Rev = executor.Failed, "journal: "+err.Error(), e.Rev+1
				ended = append(ended, e)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if ended == nil {
		return nil
	}
	return db.putAll(ended)
}
