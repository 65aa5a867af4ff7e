package health

import (
	"testing"
	"time"
)

// A month without a connection: today is kept in detail, and no hole is longer
// than a small part of the time that has passed since.
func TestALongTimeAwayIsKeptAsAWhole(t *testing.T) {
	const days, every = 30, 5 * time.Minute
	b := newBacklog()
	start := time.Now()
	now := start
	for ; now.Sub(start) < days*24*time.Hour; now = now.Add(every) {
		b.add(&waiting{at: now, seq: 1}, maxSamples)
	}
	if n := b.len(); n > maxSamples || n < maxSamples/2 {
		t.Errorf("got %d samples, want at most %d and no less than half of that", n, maxSamples)
	}
	if got := len(b.list) + len(b.gone); got != days*24*12 {
		t.Errorf("got %d samples that wait or are gone, want every one of %d", got, days*24*12)
	}
	if !b.list[0].at.Equal(start) || now.Sub(b.list[len(b.list)-1].at) != every {
		t.Errorf("got %s to %s, want the first and the last to stay", b.list[0].at, b.list[len(b.list)-1].at)
	}
	for i, w := range b.list[1:] {
		gap, age := w.at.Sub(b.list[i].at), now.Sub(b.list[i].at)
		if most := max(every, age/20); gap > most {
			t.Errorf("%s ago: got a hole of %s, want at most %s", age, gap, most)
		}
	}
}

func TestWhatWasThinnedWhileItWasWrittenIsForgotten(t *testing.T) {
	b := newBacklog()
	now := time.Now()
	for i := range 3 {
		b.add(&waiting{at: now.Add(time.Duration(i) * time.Second), data: []byte("x")}, 8)
	}
	list, gone := b.unspilled()
	b.thin(now, 2)
	b.spilled(list, []uint64{1, 2, 3}, gone)
	if len(b.gone) != 1 || b.gone[0] != 2 {
		t.Errorf("got %v gone, want the one in the middle", b.gone)
	}
	b.took(b.list...)
	if got := b.drained(); len(got) != 3 {
		t.Errorf("got %v for the journal to forget, want all three", got)
	}
}

func TestTheNewestGoesFirstAndOnce(t *testing.T) {
	b := newBacklog()
	for i := range 3 {
		b.add(&waiting{at: time.Now(), seq: uint64(i)}, 8)
	}
	if w := b.newest(); w == nil || w.seq != 2 {
		t.Errorf("got %v, want the last one", w)
	}
	if w := b.newest(); w != nil {
		t.Errorf("got %v once more, want none until there is something new", w)
	}
	b.retry()
	if w := b.newest(); w == nil {
		t.Error("got none on a new connection, want the last one")
	}
	if got := b.oldest(2); len(got) != 2 || got[0].seq != 0 {
		t.Errorf("got %v, want the two oldest", got)
	}
}
