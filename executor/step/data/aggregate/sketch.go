package aggregate

import (
	"math"
	"slices"
)

// A sketch counts numbers in bins whose width grows with the number, so that a
// percentile is off by at most 0.8 % of itself: DDSketch (Masson, Rim, Lee: "DDSketch:
// A Fast and Fully-Mergeable Quantile Sketch with Relative-Error Guarantees", VLDB 2019)
// with the bins of HdrHistogram, 64 to each power of two. Those are the upper bits of
// the number itself, so that a processor without floating point computes no logarithm.
// The library of the authors (sketches-go 1.4.8) would be 2.4 MB of a router's program.
type sketch struct {
	room        *room
	above       bins // of the numbers above 0
	below       bins // of those below 0, by their amount
	zeros       uint64
	count       uint64
	least, most float64
}

const (
	binBits = 6    // a power of two has 1<<binBits bins
	maxBins = 4096 // 64 powers of two
	binStep = 32   // by how many the room for them grows
	binSize = 4    // bytes
)

func (s *sketch) add(v value) error {
	f := v.float
	if s.count++; s.count == 1 {
		s.least, s.most = f, f
	}
	s.least, s.most = min(s.least, f), max(s.most, f)
	switch {
	case f > 0:
		return s.above.add(binOf(f), s.room)
	case f < 0:
		return s.below.add(binOf(-f), s.room)
	}
	s.zeros++
	return nil
}

// binOf is the bin of an amount: its exponent and the first bits behind it.
func binOf(f float64) int { return int(math.Float64bits(f) >> (52 - binBits)) }

// middle is the number in the middle of a bin.
func middle(bin int) float64 {
	const half = 1 << (52 - binBits - 1)
	return math.Float64frombits(uint64(bin)<<(52-binBits) | half)
}

// result is the number below which the share of the percentile lies, by nearest rank.
func (s *sketch) result(function string) any {
	if s.count == 0 {
		return nil
	}
	rank := max(1, uint64(math.Ceil(float64(percentile(function))*float64(s.count)/100)))
	return min(max(s.at(rank), s.least), s.most)
}

// at is about the number that has this rank when all are sorted, from 1.
func (s *sketch) at(rank uint64) float64 {
	for i, n := range slices.Backward(s.below.counts) {
		if rank <= uint64(n) {
			return -middle(s.below.first + i)
		}
		rank -= uint64(n)
	}
	if rank <= s.zeros {
		return 0
	}
	rank -= s.zeros
	for i, n := range s.above.counts {
		if rank <= uint64(n) {
			return middle(s.above.first + i)
		}
		rank -= uint64(n)
	}
	return s.most
}

// bins are counts, one for each bin from first on, which stay at their greatest. There
// are at most maxBins: where more are wanted the smallest amounts share one.
type bins struct {
	first  int
	counts []uint32
}

func (b *bins) add(bin int, r *room) error {
	switch end := b.first + len(b.counts); {
	case len(b.counts) == 0:
		b.first, b.counts = bin, make([]uint32, 1, binStep)
		if err := r.take(binSize * binStep); err != nil {
			return err
		}
	case bin < b.first:
		b.lower(max(bin, end-maxBins), r)
	case bin >= end:
		b.raise(bin, r)
	}
	if n := &b.counts[max(bin-b.first, 0)]; *n < math.MaxUint32 {
		*n++
	}
	return r.take(0)
}

// lower makes first the first bin.
func (b *bins) lower(first int, r *room) {
	if more := b.first - first; more > 0 {
		b.resize(more, 0, r)
		b.first = first
	}
}

// raise makes last the last bin.
func (b *bins) raise(last int, r *room) {
	if drop := last - maxBins + 1 - b.first; drop > 0 {
		drop = min(drop, len(b.counts))
		var small uint32
		for _, n := range b.counts[:drop] {
			small += min(n, math.MaxUint32-small)
		}
		b.counts = slices.Delete(b.counts, 0, drop)
		b.first = last - maxBins + 1
		b.resize(0, last-b.first+1-len(b.counts), r)
		b.counts[0] += min(small, math.MaxUint32-b.counts[0])
		return
	}
	b.resize(0, last-b.first+1-len(b.counts), r)
}

// resize puts empty bins before and behind the others.
func (b *bins) resize(before, behind int, r *room) {
	want := before + len(b.counts) + behind
	if want > cap(b.counts) {
		roomy := make([]uint32, len(b.counts), (want+binStep-1)/binStep*binStep)
		copy(roomy, b.counts)
		r.left -= binSize * (cap(roomy) - cap(b.counts))
		b.counts = roomy
	}
	had := len(b.counts)
	b.counts = b.counts[:want]
	copy(b.counts[before:], b.counts[:had])
	clear(b.counts[:before])
	clear(b.counts[before+had:])
}
