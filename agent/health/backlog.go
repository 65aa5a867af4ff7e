// Package health brings samples of the board to the broker: the newest at once,
// those that waited slowly, and what waits for long into the journal. It reports to
// AWS Device Defender too. It judges nothing.
package health

import (
	"slices"
	"sync"
	"time"
)

const (
	ramSamples = 128 // that wait in RAM alone
	maxSamples = 512 // that wait in the journal and in RAM together
	sampleSize = 1 << 10
)

// A backlog is the samples that the broker has not taken, oldest first. Online
// it is empty but for a moment.
type backlog struct {
	mu     sync.Mutex
	list   []*waiting
	gone   []uint64 // in the journal, and wait no longer
	fresh  bool     // the newest was not tried yet
	signal chan struct{}
}

// A waiting is a sample in a backlog.
type waiting struct {
	at      time.Time // carries the monotonic clock if it was taken by this process
	seq     uint64    // in the journal; 0: not there
	data    []byte    // nil: in the journal alone
	undated bool      // the clock was not sane when it was taken
}

func newBacklog() *backlog { return &backlog{signal: make(chan struct{}, 1)} }

// add takes a sample, and thins what waits when it is more than limit.
func (b *backlog) add(w *waiting, limit int) {
	b.mu.Lock()
	b.list = append(b.list, w)
	if len(b.list) > limit {
		b.thin(w.at, limit-limit/8)
	}
	b.mu.Unlock()
	b.retry()
}

// retry says that there is something new: a sample, or a connection. The newest
// sample is told first then.
func (b *backlog) retry() {
	b.mu.Lock()
	b.fresh = true
	b.mu.Unlock()
	select {
	case b.signal <- struct{}{}:
	default:
	}
}

// thin leaves so many. It takes out where a gap tears least for its age, so a
// long time away is kept as a whole: today in detail, last month in outline.
// The first and the last stay.
func (b *backlog) thin(now time.Time, keep int) {
	for len(b.list) > max(keep, 2) {
		least, at := 0.0, 0
		for i := 1; i < len(b.list)-1; i++ {
			gap := b.list[i+1].at.Sub(b.list[i-1].at).Seconds()
			if tear := gap / (now.Sub(b.list[i].at).Seconds() + 1); at == 0 || tear < least {
				least, at = tear, i
			}
		}
		b.forget(b.list[at])
		b.list = slices.Delete(b.list, at, at+1)
	}
}

// forget notes what the journal is to forget with its next commit.
func (b *backlog) forget(w *waiting) {
	if w.seq != 0 {
		b.gone = append(b.gone, w.seq)
	}
}

// newest returns the newest sample if it was not tried yet.
func (b *backlog) newest() *waiting {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.fresh || len(b.list) == 0 {
		return nil
	}
	b.fresh = false
	return b.list[len(b.list)-1]
}

// oldest returns the n oldest.
func (b *backlog) oldest(n int) []*waiting {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.list[:min(n, len(b.list))])
}

func (b *backlog) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.list)
}

// took notes that these wait no longer: the broker has taken them.
func (b *backlog) took(some ...*waiting) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = slices.DeleteFunc(b.list, func(w *waiting) bool {
		if !slices.Contains(some, w) {
			return false
		}
		b.forget(w)
		return true
	})
}

// unspilled returns those that are in RAM alone, and what is gone.
func (b *backlog) unspilled() (list []*waiting, gone []uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.list {
		if w.seq == 0 {
			list = append(list, w)
		}
	}
	return list, slices.Clone(b.gone)
}

// drained returns what the journal can forget now that nothing in it waits.
func (b *backlog) drained() []uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if slices.ContainsFunc(b.list, func(w *waiting) bool { return w.seq != 0 }) {
		return nil
	}
	return slices.Clone(b.gone)
}

// spilled notes that a commit has written these samples, under these numbers,
// and has forgotten what was gone.
func (b *backlog) spilled(list []*waiting, seqs, gone []uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone = slices.DeleteFunc(b.gone, func(seq uint64) bool { return slices.Contains(gone, seq) })
	for i, w := range list {
		w.seq, w.data = seqs[i], nil
		if !slices.Contains(b.list, w) { // it was thinned meanwhile
			b.forget(w)
		}
	}
}
