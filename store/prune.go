package store

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	forgetAfter = 90 * 24 * time.Hour // an id without expires is kept at least so long
	keptFirings = 3                   // of a schedule, or of an alert's repair
)

// A History says how much is kept of jobs that are over.
type History struct {
	Count int             // Records kept whole; 0: 100
	Bytes int64           // their size at most; 0: a quarter of the database
	Seen  map[string]bool // ids that a full subscribe brought; nil: there was none
	// Quiet says that no status can be cleared now: no id is forgotten whose status
	// somebody may hold.
	Quiet bool
	// Past is a moment that has certainly passed, whatever the clock says: an id is
	// kept until then is after its expires. Zero is now.
	Past time.Time
}

// A finished is a Record that is final, whole or already cut down to its line.
type finished struct {
	line
	key         string
	whole, told bool
	heard       bool // somebody was told of it
	bytes       int64
}

// Prune bounds the history, in one commit, or none when there is nothing to do.
// Beyond the bounds the oldest Records are cut down to their last line, but none
// that is unfinished or untold. An id is forgotten past its expires, or, without
// one, when its job is over for 90 days and h.Seen does not hold it; a firing,
// when there are three newer ones. It returns the ids that are forgotten: their
// retained status is to be cleared. It reads all that is over, so call it when a
// job ended, not in a loop. now is a time that can be trusted, or zero.
func (db *DB) Prune(now time.Time, h History) ([]string, error) {
	db.write.Lock()
	defer db.write.Unlock()
	h.Count, h.Bytes = cmp.Or(h.Count, 100), cmp.Or(h.Bytes, db.max/4)
	all, err := db.finished()
	cut, forget := h.plan(all, now)
	if err == nil {
		err = db.prune(cut, forget)
	}
	if err != nil {
		return nil, fmt.Errorf("pruning the journal: %w", err)
	}
	var ids []string
	for _, o := range forget {
		ids = append(ids, o.ID)
	}
	return ids, nil
}

// cutDown cuts down every Record that may be.
func (db *DB) cutDown() error {
	all, err := db.finished()
	if err != nil {
		return err
	}
	cut, _ := History{}.plan(all, time.Time{})
	return db.prune(cut, nil)
}

func (db *DB) prune(cut, forget []finished) error {
	if len(cut)+len(forget) == 0 {
		return nil
	}
	if err := db.update(func(tx *bolt.Tx) error { return prune(tx, cut, forget) }); err != nil {
		return err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	for _, o := range slices.Concat(cut, forget) {
		delete(db.jobs, o.key)
		delete(db.told, o.key)
	}
	for _, o := range forget {
		db.ids -= countID(o.ID)
	}
	return nil
}

// finished lists what is final, newest first.
func (db *DB) finished() ([]finished, error) {
	var all []finished
	err := db.bolt.View(func(tx *bolt.Tx) error {
		for _, key := range db.keys(func(s standing) bool { return s.final }) {
			o, err := db.wholeRecord(tx, key)
			if err != nil {
				return err
			}
			all = append(all, o)
		}
		return tx.Bucket(bucketIDs).ForEach(func(k, v []byte) error {
			l, err := decodeLine(k, v)
			all = append(all, finished{line: l, key: string(k), heard: true})
			return err
		})
	})
	sort.Slice(all, func(i, j int) bool { return all[i].Seq > all[j].Seq })
	return all, err
}

func (db *DB) wholeRecord(tx *bolt.Tx, key string) (finished, error) {
	past := tx.Bucket(bucketPast)
	value := past.Get(stateKey(key))
	e, err := decodeEntry(key, value)
	s, _ := db.standing(key)
	o := finished{line: e.line(), key: key, whole: true, told: s.told >= s.rev, heard: s.told > 0}
	o.bytes = int64(len(value))
	for _, b := range []*bolt.Bucket{past, tx.Bucket(bucketTexts)} {
		eachWith(b, partPrefix(key), func(_, v []byte) { o.bytes += int64(len(v)) })
	}
	return o, err
}

// plan chooses what is cut down and what is forgotten; all is newest first.
func (h History) plan(all []finished, now time.Time) (cut, forget []finished) {
	newer := map[string]int{}
	count, bytes := 0, int64(0)
	for _, o := range all {
		keep := false
		if o.whole {
			count, bytes = count+1, bytes+o.bytes
			keep = !o.told || count <= h.Count && bytes <= h.Bytes
		}
		if name, ok := firing(o.ID); ok {
			newer[name]++
			keep = keep && (newer[name] <= keptFirings || h.Quiet && o.heard)
		}
		switch {
		case keep:
		case h.mayForget(o, newer, now):
			forget = append(forget, o)
		case o.whole || o.since() == 0 && !now.IsZero():
			// Ended is unknown where the clock was not sane: then its days count from now.
			o.Since = seconds(now)
			cut = append(cut, o)
		}
	}
	return cut, forget
}

func (h History) mayForget(o finished, newer map[string]int, now time.Time) bool {
	if name, ok := firing(o.ID); ok {
		return newer[name] > keptFirings && !(h.Quiet && o.heard)
	}
	if h.Seen[o.ID] {
		return false // its offer is still there, and would be judged as a new one
	}
	if o.Expires != 0 {
		past := now
		if !h.Past.IsZero() {
			past = h.Past
		}
		return h.Seen != nil && past.After(moment(o.Expires))
	}
	return h.Seen != nil && o.since() != 0 && now.Sub(moment(o.since())) > forgetAfter
}

func prune(tx *bolt.Tx, cut, forget []finished) error {
	for _, o := range slices.Concat(cut, forget) {
		err := errors.Join(
			dropKey(tx.Bucket(bucketPast), o.key),
			dropKey(tx.Bucket(bucketTexts), o.key),
			tx.Bucket(bucketIDs).Delete([]byte(o.key)))
		if err != nil {
			return err
		}
	}
	for _, o := range cut {
		if err := putLine(tx, o.key, o.line); err != nil {
			return err
		}
	}
	return nil
}

func putLine(tx *bolt.Tx, key string, l line) error {
	if l.ID == key {
		l.ID = ""
	}
	value, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return put(tx.Bucket(bucketIDs), []byte(key), value)
}
