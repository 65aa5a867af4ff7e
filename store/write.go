package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/ratchetd/ratchet/executor"
)

// update commits what fn writes together with what waits in RAM for a commit. The
// caller holds db.write.
func (db *DB) update(fn func(*bolt.Tx) error) error {
	if err := db.inPlace(); err != nil {
		return err
	}
	db.mu.Lock()
	marks, soon, floor, count := maps.Clone(db.told), maps.Clone(db.values), db.floor, db.mark.Commits+1
	db.mu.Unlock()
	err := db.bolt.Update(func(tx *bolt.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		for key, rev := range marks {
			if err := putTold(tx, key, rev); err != nil {
				return err
			}
		}
		for name, value := range soon {
			if err := put(tx.Bucket(bucketMarks), []byte(name), value); err != nil {
				return err
			}
		}
		meta := tx.Bucket(bucketMeta)
		return errors.Join(put(meta, keyFloor, number(uint64(floor))), meta.Put(keyCount, number(count)))
	})
	if err != nil {
		return err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	db.commits++
	db.mark.Commits = count
	maps.DeleteFunc(db.told, func(key string, rev uint64) bool { return marks[key] == rev })
	maps.DeleteFunc(db.values, func(name string, value []byte) bool { return bytes.Equal(soon[name], value) })
	return nil
}

// put writes a value unless it is there already: a write would cost a page.
func put(b *bolt.Bucket, key, value []byte) error {
	if old := b.Get(key); old != nil && bytes.Equal(old, value) {
		return nil
	}
	return b.Put(key, value)
}

func putTold(tx *bolt.Tx, key string, rev uint64) error {
	b, old := bucketOf(tx, key)
	if b == nil || binary.BigEndian.Uint64(old) >= rev {
		return nil
	}
	return b.Put(stateKey(key), append(number(rev), old[8:]...))
}

// Put makes r durable, in one commit. It implements executor.Journal: if it
// fails nothing has changed and it may be tried again. The Record must have been
// accepted and not be final; its Seq is the one it was accepted with, and 0 means
// that whoever puts it does not know.
func (db *DB) Put(r executor.Record) error {
	db.write.Lock()
	defer db.write.Unlock()
	was, ok := db.standing(r.Key)
	switch {
	case !ok:
		return fmt.Errorf("putting job %s: it was never accepted, or is withdrawn: %w", r.Key, executor.ErrReplaced)
	case was.final:
		return fmt.Errorf("putting job %s: it has its final state already: %w", r.Key, executor.ErrReplaced)
	case r.Seq != 0 && r.Seq != was.seq:
		return fmt.Errorf("putting job %s: %w", r.Key, executor.ErrReplaced)
	}
	r.Seq = was.seq
	if err := db.putAll([]entry{{Record: r, Expires: r.Job.Expires, Told: was.told}}); err != nil {
		return fmt.Errorf("putting job %s: %w", r.Key, err)
	}
	return nil
}

func (db *DB) putAll(entries []entry) error {
	used, bound := db.Room()
	room := bound/8*7 - used
	write := func(tx *bolt.Tx) error {
		for _, e := range entries {
			if err := putEntry(tx, e, room); err != nil {
				return err
			}
		}
		return nil
	}
	err := db.update(write)
	if errors.Is(err, bolterrors.ErrMaxSizeReached) {
		// The free pages are too scattered. That this job ends is worth more than the
		// details of those that are over, and than its own outputs.
		room = 0
		if err = db.cutDown(); err == nil {
			err = db.update(write)
		}
	}
	if err == nil {
		db.remember(entries...)
	}
	return err
}

// remember puts what was just committed into the picture in RAM.
func (db *DB) remember(entries ...entry) {
	db.mu.Lock()
	defer db.mu.Unlock()
	for _, e := range entries {
		db.enter(e)
		if e.State.Final() {
			delete(db.cancels, e.Key)
		}
	}
}

// putEntry writes what changed of a Record, and moves a final one to past. Outputs
// and results that do not fit into room are left out: they must not fill the last
// eighth of the database, so that every job can reach its end.
func putEntry(tx *bolt.Tx, e entry, room int64) error {
	b := tx.Bucket(bucketJobs)
	if e.State.Final() {
		if err := errors.Join(dropKey(b, e.Key), dropCancel(tx, e.Key)); err != nil {
			return err
		}
		b = tx.Bucket(bucketPast)
	}
	value, err := e.encode()
	if err != nil {
		return err
	}
	if err := put(b, stateKey(e.Key), value); err != nil {
		return err
	}
	for i, s := range e.Steps {
		err := errors.Join(
			putPart(b, partKey(e.Key, i, 'o'), []byte(s.Output), &room),
			putPart(b, partKey(e.Key, i, 'r'), s.Result, &room))
		if err != nil {
			return err
		}
	}
	return nil
}

func putPart(b *bolt.Bucket, key, value []byte, room *int64) error {
	if old := b.Get(key); bytes.Equal(old, value) {
		return nil
	}
	*room -= int64(len(key) + len(value))
	if len(value) == 0 || *room < 0 {
		return b.Delete(key)
	}
	return b.Put(key, value)
}

// dropKey removes all that lies under the key in a bucket.
func dropKey(b *bolt.Bucket, key string) error {
	keys := [][]byte{stateKey(key)}
	eachWith(b, partPrefix(key), func(k, _ []byte) { keys = append(keys, bytes.Clone(k)) })
	for _, k := range keys {
		if err := b.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

func (db *DB) standing(key string) (standing, bool) {
	db.mu.Lock()
	defer db.mu.Unlock()
	s, ok := db.jobs[key]
	return s, ok
}

// keys lists the Records that want accepts, in order of their Seq.
func (db *DB) keys(want func(standing) bool) []string {
	db.mu.Lock()
	defer db.mu.Unlock()
	var keys []string
	for key, s := range db.jobs {
		if want(s) {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Compare(db.jobs[a].seq, db.jobs[b].seq) })
	return keys
}
