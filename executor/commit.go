package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ratchetd/ratchet/executor/backoff"
)

// commit makes the Record in hand durable. A journal that fails is tried again
// until it works or the agent ends: nothing goes on without it. A Record that was
// replaced ends the walk.
func (w *walk) commit() error {
	w.r = w.spend(w.r)
	w.r.Rev++
	pause := backoff.Pause{First: time.Second, Most: 30 * time.Second}
	for {
		err := w.Journal.Put(w.r)
		if errors.Is(err, ErrReplaced) {
			return err
		}
		if w.OnCommit != nil {
			w.OnCommit(err)
		}
		if err == nil {
			w.dirty = false
			return nil
		}
		if !w.pauseFor(pause.Next()) {
			return fmt.Errorf("%w; job %s is not journaled: %w", ErrStopped, w.r.ID, err)
		}
	}
}

// finish commits the final Record and then removes the undo data, in that order.
func (w *walk) finish() error {
	w.r.Ended = stamp(w.now())
	if err := w.commit(); err != nil {
		return err
	}
	if w.Dir == "" {
		return nil
	}
	if err := os.RemoveAll(w.dir()); err != nil && w.Log != nil {
		w.Log.Warn("undo data of a job that is over stays", "job", w.r.ID, "err", err) // sweep tries again
	}
	return nil
}

// pauseFor waits for d, unless the agent is asked to end meanwhile.
func (w *walk) pauseFor(d time.Duration) bool {
	defer w.watch(context.Background())()
	select {
	case <-time.After(d):
		return true
	case <-w.Stopping:
		return false
	}
}

// dir is where the tasks of this job keep their undo data.
func (w *walk) dir() string { return filepath.Join(w.Dir, TaskDir(w.r)) }

// TaskDir is the name, below Executor.Dir, of the directory that holds the undo
// data of a job. A directory whose job is final may be removed.
func TaskDir(r Record) string { return Digest([]byte(r.Key))[:16] }

// save commits a kind's checkpoint: it is Task.save.
func (w *walk) save(state json.RawMessage, cutExpected bool) error {
	r, rec := w.r.clone()
	rec.Saved, rec.CutExpected = state, cutExpected
	w.change(r)
	return w.commit()
}
