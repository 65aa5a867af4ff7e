package store

import (
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

// New reports whether this journal knows nothing of the device's past yet. No job
// may be taken from the link until ReadBack was called; restarts do not change that.
func (db *DB) New() bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.isNew
}

// ReadBack gives a new journal its past, in one commit: final jobs are known with
// their state, unfinished ones have failed and are untold. Rejected ones are left
// out: those may be judged again. It does nothing in a journal that is not New.
func (db *DB) ReadBack(past []Past) error {
	db.write.Lock()
	defer db.write.Unlock()
	if !db.New() {
		return nil
	}
	past = db.unknown(past)
	var lost []entry
	ids := 0
	err := db.update(func(tx *bolt.Tx) error {
		for _, p := range past {
			seq, err := tx.Bucket(bucketJobs).NextSequence()
			if err != nil {
				return err
			}
			switch e := p.entry(seq); {
			case !p.State.Final():
				lost = append(lost, e)
				err = putEntry(tx, e, 0)
			default:
				ids += countID(p.ID)
				err = putLine(tx, e.Key, e.line())
			}
			if err != nil {
				return err
			}
		}
		return tx.Bucket(bucketMeta).Delete(keyNew)
	})
	if err != nil {
		return fmt.Errorf("reading back the past: %w", err)
	}
	db.remember(lost...)
	db.mu.Lock()
	defer db.mu.Unlock()
	db.isNew = false
	db.ids += ids
	return nil
}

// unknown is what of past is to be entered, in order of the ids.
func (db *DB) unknown(past []Past) []Past {
	ids := map[string]bool{}
	var list []Past
	for _, p := range past {
		if _, known := db.standing(p.ID); !known && !ids[p.ID] && p.ID != "" && p.State != executor.Rejected {
			ids[p.ID] = true
			list = append(list, p)
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].ID < list[j].ID })
	return list
}

func (p Past) entry(seq uint64) entry {
	e := entry{Expires: p.Expires, Record: executor.Record{Key: p.ID, ID: p.ID, Seq: seq,
		Digest: p.Digest, Rev: p.Rev, State: p.State}}
	if !p.State.Final() {
		e.State, e.Reason, e.Rev = executor.Failed, "journal lost", p.Rev+1
	}
	return e
}
