package aggregate

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestAPercentileIsOffByLessThanAHundredth(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 0))
	for name, draw := range map[string]func() float64{
		"uniform": r.Float64, "lognormal": func() float64 { return math.Exp(2 * r.NormFloat64()) }, "both signs": r.NormFloat64, "exponential": r.ExpFloat64,
		"a few": func() float64 { return float64(r.IntN(5)) }, "tiny": func() float64 { return 1e-310 * r.Float64() }, "huge": func() float64 { return 1e300 * r.Float64() },
	} {
		s, all := &sketch{room: &room{maxRoom}}, []float64{}
		for range 5000 {
			f := draw()
			all = append(all, f)
			if err := s.add(value{float: f}); err != nil {
				t.Fatal(err)
			}
		}
		slices.Sort(all)
		for p, function := range map[int]string{1: "p1", 25: "p25", 50: "p50", 90: "p90", 99: "p99"} {
			want := all[len(all)*p/100-1]
			if got := s.result(function).(float64); math.Abs(got-want) > math.Abs(want)*0.008+math.SmallestNonzeroFloat64 && name != "tiny" {
				t.Errorf("%s, %s: got %v, want %v", name, function, got, want)
			}
		}
	}
}

// However far apart the numbers are, a sketch has its bound, and loses only what is small.
func TestASketchHasABound(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 0))
	room := &room{maxRoom}
	s := &sketch{room: room}
	for range 100_000 {
		f := math.Float64frombits(r.Uint64())
		if math.IsNaN(f) || math.IsInf(f, 0) {
			continue
		}
		if err := s.add(value{float: f}); err != nil {
			t.Fatal(err)
		}
	}
	if most := 2 * maxBins * binSize * 2; cap(s.above.counts)+cap(s.below.counts) > 2*maxBins || maxRoom-room.left > most {
		t.Errorf("got %d and %d bins, %d bytes, want at most %d bins each", cap(s.above.counts), cap(s.below.counts), maxRoom-room.left, maxBins)
	}
	var counted uint64
	for _, n := range slices.Concat(s.above.counts, s.below.counts) {
		counted += uint64(n)
	}
	if counted+s.zeros != s.count {
		t.Errorf("got %d numbers in bins, want %d", counted, s.count)
	}
	for _, f := range []float64{5e-324, 1e-300, 1, 1e300, math.MaxFloat64} {
		if m := middle(binOf(f)); math.Abs(m-f) > f*0.008 && f > 1e-300 {
			t.Errorf("got %v in the bin of %v, want it nearer", m, f)
		}
	}
}
