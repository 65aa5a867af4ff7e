package store

import (
	"errors"
	"fmt"
	"sort"

	bolt "go.etcd.io/bbolt"

	"github.com/ratchetd/ratchet/executor"
)

// Past is what this device once told of a job, read back from the broker.
type Past struct {
	ID      string
	State   executor.State
	Rev     uint64
	Digest  string
	Expires executor.Time
}

// New reports whether this journal knows nothing of the device's past yet, or less
// than it should. No job may be taken from the link until ReadBack was called;
// restarts do not change that.
func (db *DB) New() bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.isNew
}

// ReadBack gives a journal that is New its past, in one commit: final jobs are known
// with their state, unfinished ones have failed and are untold. Rejected ones are left
// out: those may be judged again. What the journal knows it keeps, but for unfinished
// jobs of one that is Older of which more was told: who has one of those in hand
// gets executor.ErrReplaced from Put. It does nothing in a journal that is not New.
func (db *DB) ReadBack(past []Past) error {
	db.write.Lock()
	defer db.write.Unlock()
	if !db.New() {
		return nil
	}
	past, err := db.unknown(past)
	if err != nil {
		return fmt.Errorf("reading back the past: %w", err)
	}
	var lost []entry
	err = db.update(func(tx *bolt.Tx) error {
		lost = nil
		for _, p := range past {
			e, err := readBack(tx, p)
			if err != nil {
				return err
			}
			if !p.State.Final() {
				lost = append(lost, e)
			}
		}
		return tx.Bucket(bucketMeta).Delete(keyNew)
	})
	if err != nil {
		return fmt.Errorf("reading back the past: %w", err)
	}
	db.mu.Lock()
	for _, p := range past {
		if _, known := db.jobs[p.ID]; !known {
			db.ids += countID(p.ID)
		}
		delete(db.jobs, p.ID)
		delete(db.told, p.ID)
		delete(db.cancels, p.ID)
	}
	for _, e := range lost {
		db.ids -= countID(e.ID) // it is counted as it is entered
		db.enter(e)
	}
	db.isNew, db.older = false, false
	db.mu.Unlock()
	return nil
}

// readBack enters what was told of one job, in the place of what is known of it.
func readBack(tx *bolt.Tx, p Past) (entry, error) {
	if err := errors.Join(dropJob(tx, p.ID), dropCancel(tx, p.ID)); err != nil {
		return entry{}, err
	}
	seq, err := tx.Bucket(bucketJobs).NextSequence()
	if err != nil {
		return entry{}, err
	}
	e := p.entry(seq)
	if !p.State.Final() {
		return e, putEntry(tx, e, 0)
	}
	return e, putLine(tx, e.Key, e.line())
}

// unknown is what of past is to be entered, in order of the ids: what the journal does
// not know, and unfinished jobs of which it did not know all that was told when it was
// opened: what was done since then, before anybody was asked, was done twice.
func (db *DB) unknown(past []Past) ([]Past, error) {
	ids := map[string]bool{}
	var list []Past
	for _, p := range past {
		if ids[p.ID] || p.ID == "" || p.State == executor.Rejected {
			continue
		}
		ids[p.ID] = true
		s, whole := db.standing(p.ID)
		_, known, err := db.Known(p.ID)
		if err != nil {
			return nil, err
		}
		if !known || db.Older() && whole && !s.final && p.Rev > s.opened {
			list = append(list, p)
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].ID < list[j].ID })
	return list, nil
}

func (p Past) entry(seq uint64) entry {
	e := entry{Expires: p.Expires, Record: executor.Record{Key: p.ID, ID: p.ID, Seq: seq,
		Digest: p.Digest, Rev: p.Rev, State: p.State}}
	if !p.State.Final() {
		e.State, e.Reason, e.Rev = executor.Failed, "journal lost", p.Rev+1
	}
	return e
}
