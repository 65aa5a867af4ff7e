package rule

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/ratchetd/ratchet/executor/jq"
)

const (
	longestSpan = 24 * time.Hour
	maxSeries   = 16  // of one rule
	maxBuckets  = 120 // of one series: 9 kB
)

// ErrTooYoung is the history of an agent that has not run for long enough.
var ErrTooYoung = errors.New("not known for half of that time yet")

// A history is what the functions avg, min, max, rate and slope of one rule look
// back on. Each call has a series of its own.
type history struct{ series []*series }

// A series is a number of every sample, over a time: the newest of span, in
// buckets of at least an even part of it, so that it is bounded however often
// the board is sampled.
type series struct {
	of      *jq.Expr
	span    time.Duration
	buckets []bucket
}

// A bucket is what was measured within a part of the span.
type bucket struct {
	from           time.Time
	n              int
	sum, low, high float64
	last           float64
	rise           float64 // since the bucket before; a counter that began again counts from zero
}

// functions are those of a rule, bound to its history.
func (h *history) functions() []jq.Func {
	var list []jq.Func
	for name, read := range map[string]func(*series) float64{
		"avg": (*series).average, "min": (*series).least, "max": (*series).most,
		"rate": (*series).rate, "slope": (*series).slope,
	} {
		list = append(list, jq.Func{Name: name, Arity: 2, Bind: h.bind,
			Impl: func(_ any, args []any) (any, error) {
				n, ok := args[0].(int)
				if !ok || n < 0 || n >= len(h.series) {
					return nil, errors.New("no such series") // cannot be: Bind gave the number
				}
				s := h.series[n]
				if !s.known() {
					return nil, ErrTooYoung
				}
				return read(s), nil
			}})
	}
	return list
}

func (h *history) bind(of *jq.Expr, others []string) (int, error) {
	span, err := time.ParseDuration(others[0])
	if err != nil || span < time.Second || span > longestSpan {
		return 0, fmt.Errorf("%q: want a time from 1s to 24h, such as \"5m\"", others[0])
	}
	if len(h.series) == maxSeries {
		return 0, fmt.Errorf("at most %d calls of it in one rule", maxSeries)
	}
	h.series = append(h.series, &series{of: of, span: span})
	return len(h.series) - 1, nil
}

// add adds a sample to every series. What is no number in it leaves a gap.
func (h *history) add(ctx context.Context, now time.Time, sample any) {
	for _, s := range h.series {
		if v, err := s.of.Eval(ctx, sample); err == nil {
			switch v := v.(type) {
			case int:
				s.add(now, float64(v))
			case float64:
				s.add(now, v)
			case *big.Int: // on a 32-bit board every counter above 2 GiB
				f, _ := v.Float64()
				s.add(now, f)
			}
		}
		s.forget(now)
	}
}

func (s *series) add(now time.Time, v float64) {
	rise := 0.0
	if n := len(s.buckets); n > 0 {
		before := &s.buckets[n-1]
		if rise = v - before.last; rise < 0 {
			rise = v
		}
		if now.Sub(before.from) < s.span/maxBuckets {
			before.n, before.sum, before.last = before.n+1, before.sum+v, v
			before.low, before.high, before.rise = min(before.low, v), max(before.high, v), before.rise+rise
			return
		}
	}
	s.buckets = append(s.buckets, bucket{from: now, n: 1, sum: v, low: v, high: v, last: v, rise: rise})
}

func (s *series) forget(now time.Time) {
	for len(s.buckets) > 0 && now.Sub(s.buckets[0].from) > s.span {
		s.buckets = s.buckets[1:]
	}
}

// known reports whether the series reaches back far enough to say anything.
func (s *series) known() bool {
	n := len(s.buckets)
	return n > 1 && s.buckets[n-1].from.Sub(s.buckets[0].from) >= s.span/2
}

func (s *series) average() float64 {
	n, sum := 0, 0.0
	for _, b := range s.buckets {
		n, sum = n+b.n, sum+b.sum
	}
	return sum / float64(n)
}

func (s *series) least() float64 {
	low := s.buckets[0].low
	for _, b := range s.buckets {
		low = min(low, b.low)
	}
	return low
}

func (s *series) most() float64 {
	high := s.buckets[0].high
	for _, b := range s.buckets {
		high = max(high, b.high)
	}
	return high
}

// rate is by how much a counter rose in a second.
func (s *series) rate() float64 {
	rise := 0.0
	for _, b := range s.buckets[1:] {
		rise += b.rise
	}
	return rise / s.seconds(len(s.buckets)-1)
}

// slope is how much is gained in a second, by the straight line that fits best.
func (s *series) slope() float64 {
	n := float64(len(s.buckets))
	var x, y, xx, xy float64
	for i, b := range s.buckets {
		at, v := s.seconds(i), b.sum/float64(b.n)
		x, y, xx, xy = x+at, y+v, xx+at*at, xy+at*v
	}
	return (n*xy - x*y) / (n*xx - x*x)
}

func (s *series) seconds(i int) float64 { return s.buckets[i].from.Sub(s.buckets[0].from).Seconds() }
