package backoff

import (
	"slices"
	"testing"
	"time"
)

func TestAPauseDoublesUpToItsMostAndBeginsAgain(t *testing.T) {
	p := Pause{First: 10, Most: 35}
	var got []time.Duration
	for range 5 {
		got = append(got, p.Next())
	}
	p.Reset()
	got = append(got, p.Next(), p.Next())
	if want := []time.Duration{10, 20, 35, 35, 35, 10, 20}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestJitterStaysWithinHalfOfThePause(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 1000 {
		d := Jitter(100)
		seen[d] = true
		if d < 50 || d >= 150 {
			t.Fatalf("got %d, want 50 to 149", d)
		}
	}
	if len(seen) < 20 || Jitter(0) != 0 {
		t.Errorf("got %d different pauses, and %d for none", len(seen), Jitter(0))
	}
}
