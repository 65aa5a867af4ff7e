package store

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/ratchetd/ratchet/executor"
)

// How many cancels are kept whose job never came, and how long.
const (
	maxCancels = 256
	cancelFor  = 30 * 24 * time.Hour

	earlyAtOnce = 64
	earlyEvery  = 15 * time.Minute
)

// ErrManyCancels says that a cancel of an unknown job was not written, for the
// sake of the flash.
var ErrManyCancels = fmt.Errorf("more cancels of unknown jobs come than are written: %d at once, then one in %v", earlyAtOnce, earlyEvery)

// A cancelMark is a cancel: when it came and when it was signed, in unix seconds.
// One that nobody had to sign (0) ends whatever job has its id.
type cancelMark struct{ came, signed int64 }

// covers reports whether this cancel ends all that another one does.
func (c cancelMark) covers(other cancelMark) bool {
	return c.signed == 0 || other.signed != 0 && c.signed >= other.signed
}

// Cancel marks the job durably, in one commit, until it is final. For a job that is
// final it does nothing. The mark of an unknown job waits for it; of these only so
// many are written in a time, then the error is ErrManyCancels. A cancel is not
// for a job that was signed after it (see executor.Outlives): then the id was used
// again. signed is zero for a cancel that nobody had to sign.
func (db *DB) Cancel(id string, signed time.Time) error {
	db.write.Lock()
	defer db.write.Unlock()
	c := cancelMark{came: db.now().Unix(), signed: seconds(signed)}
	if there, marked := db.cancelOf(id); marked && there.covers(c) || id == "" {
		return nil
	}
	s, open := db.standing(id)
	if _, known, err := db.Known(id); err != nil || s.final || known && !open || executor.Outlives(moment(s.signed), signed) {
		return err
	}
	var drop []string
	if !open {
		if !db.early.spend(db.now()) {
			return fmt.Errorf("marking job %s as cancelled: %w", id, ErrManyCancels)
		}
		drop = db.cancelsToDrop()
	}
	err := db.update(func(tx *bolt.Tx) error {
		for _, key := range drop {
			if err := dropCancel(tx, key); err != nil {
				return err
			}
		}
		return putCancel(tx, id, c)
	})
	if err != nil {
		return fmt.Errorf("marking job %s as cancelled: %w", id, err)
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	for _, key := range drop {
		delete(db.cancels, key)
	}
	db.cancels[id] = c
	return nil
}

func putCancel(tx *bolt.Tx, id string, c cancelMark) error {
	b := tx.Bucket(bucketCancels)
	err := put(b, []byte(id), number(uint64(c.came)))
	if c.signed == 0 {
		return errors.Join(err, b.Delete([]byte(id+"\x00")))
	}
	return errors.Join(err, put(b, []byte(id+"\x00"), number(uint64(c.signed))))
}

func dropCancel(tx *bolt.Tx, id string) error {
	b := tx.Bucket(bucketCancels)
	return errors.Join(b.Delete([]byte(id)), b.Delete([]byte(id+"\x00")))
}

func (db *DB) dropCancelMark(id string) {
	db.mu.Lock()
	defer db.mu.Unlock()
	delete(db.cancels, id)
}

// Cancelled reports whether a cancel of the job came and is still to be carried out.
func (db *DB) Cancelled(id string) bool {
	_, marked := db.cancelOf(id)
	return marked
}

func (db *DB) cancelOf(id string) (cancelMark, bool) {
	db.mu.Lock()
	defer db.mu.Unlock()
	c, ok := db.cancels[id]
	_, open := db.jobs[id]
	return c, ok && (open || !db.expiredCancel(c))
}

// cancelledBefore reports whether a cancel of this job came before it did.
func (db *DB) cancelledBefore(r executor.Record) bool {
	c, marked := db.cancelOf(r.Key)
	return marked && !executor.Outlives(r.Signed.Time, moment(c.signed))
}

func (db *DB) expiredCancel(c cancelMark) bool { return db.now().Sub(time.Unix(c.came, 0)) > cancelFor }

// cancelsToDrop lists the marks of unknown jobs that make room for one more.
func (db *DB) cancelsToDrop() []string {
	db.mu.Lock()
	defer db.mu.Unlock()
	var early, drop []string
	for id, c := range db.cancels {
		if _, open := db.jobs[id]; open {
			continue
		}
		if db.expiredCancel(c) {
			drop = append(drop, id)
		} else {
			early = append(early, id)
		}
	}
	slices.SortFunc(early, func(a, b string) int {
		return cmp.Or(cmp.Compare(db.cancels[a].came, db.cancels[b].came), cmp.Compare(a, b))
	})
	return append(drop, early[:max(0, len(early)+1-maxCancels)]...)
}

// An allowance is how many marks of unknown jobs may be written now. Anybody who
// may write below the job topics can cause them, and each is a commit.
type allowance struct {
	used float64
	at   time.Time
}

// spend takes one, and reports whether there was one.
func (a *allowance) spend(now time.Time) bool {
	if passed := now.Sub(a.at); passed > 0 {
		a.used = max(0, a.used-float64(passed)/float64(earlyEvery))
	}
	a.at = now
	if a.used > earlyAtOnce-1 {
		return false
	}
	a.used++
	return true
}
