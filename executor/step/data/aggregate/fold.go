package aggregate

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/ratchetd/ratchet/executor/jq"
)

// A value is what a path leads to in one record; null is none.
type value struct {
	any   any
	float float64 // where it is a number
	whole int64
	exact bool // it is a whole number, and that is whole
}

// numbered returns v with what it is as a number, and reports whether it is one that
// JSON has: a program may make nan and infinite.
func numbered(v any) (value, bool) {
	switch n := v.(type) {
	case int:
		return value{v, float64(n), int64(n), true}, true
	case float64:
		return value{any: v, float: n}, !math.IsNaN(n) && !math.IsInf(n, 0)
	case *big.Int: // on a processor of 32 bits any number of seconds is one
		f, _ := jq.Float(n)
		return value{v, f, n.Int64(), n.IsInt64()}, true
	}
	return value{any: v}, false
}

// whole is n as the engine has it.
func whole(n int64) any {
	if int64(int(n)) == n {
		return int(n)
	}
	return big.NewInt(n)
}

// A fold summarises the values of one path in one group.
type fold interface {
	add(v value) error
	result(function string) any
}

// A summary is a kind of fold, and the functions that it answers.
type summary struct {
	functions []string
	numbers   bool // it takes nothing else
	start     func(*room) fold
}

var summaries = []summary{
	{[]string{"count"}, false, func(*room) fold { return &tally{} }},
	{[]string{"sum", "mean"}, true, func(*room) fold { return &total{} }},
	{[]string{"min", "max"}, true, func(*room) fold { return &extremes{} }},
	{[]string{"stddev"}, true, func(*room) fold { return &spread{} }},
	{[]string{"first", "last"}, false, func(r *room) fold { return &ends{room: r} }},
	{[]string{"distinct"}, false, func(r *room) fold { return &set{room: r} }},
	{nil, true, func(r *room) fold { return &sketch{room: r} }}, // p1 to p99
}

// percentile is the number in p95; 0 where function is no such name.
func percentile(function string) int {
	digits, ok := strings.CutPrefix(function, "p")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 1 || n > 99 || strconv.Itoa(n) != digits {
		return 0
	}
	return n
}

// room is the memory that all groups share, in bytes.
type room struct{ left int }

var errRoom = fmt.Errorf("the groups take more than %d MiB: group by less, lengthen every.duration, or leave out p50 to p99 and distinct", maxRoom>>20)

func (r *room) take(bytes int) error {
	if r.left -= bytes; r.left < 0 {
		return errRoom
	}
	return nil
}

// weight is about how many bytes a value takes.
func weight(v any) int {
	bytes := 16
	switch v := v.(type) {
	case string:
		bytes += len(v)
	case []any:
		for _, e := range v {
			bytes += weight(e)
		}
	case map[string]any:
		for name, e := range v {
			bytes += 32 + len(name) + weight(e)
		}
	}
	return bytes
}

// kept is v without the record of which a text may be a part.
func kept(v any) any {
	if text, ok := v.(string); ok {
		return strings.Clone(text)
	}
	return v
}

// tally counts the values.
type tally struct{ count int64 }

func (t *tally) add(value) error   { t.count++; return nil }
func (t *tally) result(string) any { return whole(t.count) }

// total is a sum: exact of whole numbers, and compensated, after Neumaier ("Rundungsfehleranalyse
// einiger Verfahren zur Summation endlicher Summen", ZAMM 1974), of the others.
type total struct {
	count     int64
	whole     int64
	sum, lost float64
	parts     bool // sum has a part of it
}

func (t *total) add(v value) error {
	t.count++
	if sum := t.whole + v.whole; v.exact && (sum >= t.whole) == (v.whole >= 0) {
		t.whole = sum
		return nil
	}
	t.parts = true
	t.plus(v.float)
	return nil
}

func (t *total) plus(f float64) {
	sum := t.sum + f
	if math.Abs(t.sum) >= math.Abs(f) {
		t.lost += t.sum - sum + f
	} else {
		t.lost += f - sum + t.sum
	}
	t.sum = sum
}

func (t *total) result(function string) any {
	if t.count == 0 {
		return nil
	}
	if function == "sum" && !t.parts {
		return whole(t.whole)
	}
	all := *t
	all.plus(float64(t.whole))
	sum := all.sum
	if !math.IsInf(sum, 0) {
		sum += all.lost
	}
	if function == "mean" {
		return sum / float64(t.count)
	}
	return sum
}

// extremes are the least and the greatest number, as they stood in the records.
type extremes struct{ least, most value }

func (e *extremes) add(v value) error {
	if e.least.any == nil || less(v, e.least) {
		e.least = v
	}
	if e.most.any == nil || less(e.most, v) {
		e.most = v
	}
	return nil
}

func less(a, b value) bool {
	return a.float < b.float || a.float == b.float && jq.Compare(a.any, b.any) < 0
}

func (e *extremes) result(function string) any {
	if function == "min" {
		return e.least.any
	}
	return e.most.any
}

// spread is the deviation from the mean, after Welford ("Note on a Method for Calculating
// Corrected Sums of Squares and Products", Technometrics 1962).
type spread struct{ count, mean, squares float64 }

func (s *spread) add(v value) error {
	s.count++
	off := v.float - s.mean
	s.mean += off / s.count
	s.squares += off * (v.float - s.mean)
	return nil
}

func (s *spread) result(string) any {
	if s.count < 2 {
		return nil
	}
	return math.Sqrt(s.squares / (s.count - 1))
}

// ends are the first and the last value.
type ends struct {
	room        *room
	first, last any
}

func (e *ends) add(v value) error {
	if e.first == nil {
		e.first = kept(v.any)
		if err := e.room.take(weight(v.any)); err != nil {
			return err
		}
	}
	was := weight(e.last)
	e.last = kept(v.any)
	return e.room.take(weight(e.last) - was)
}

func (e *ends) result(function string) any {
	if function == "first" {
		return e.first
	}
	return e.last
}

// set knows the values that there were, by 64 bits of each.
type set struct {
	room *room
	seen map[uint64]struct{}
}

var errDistinct = errors.New("distinct: a group has more than 10000 different values: count what differs less")

const maxDistinct = 10_000

func (s *set) add(v value) error {
	text, isText := v.any.(string)
	h := fnv.New64a()
	if !isText {
		plain, err := jq.Text(v.any)
		if err != nil {
			return err
		}
		text = "\x00" + string(plain)
	}
	_, _ = h.Write([]byte(text)) // a hash takes all
	n := len(s.seen)
	if s.seen == nil {
		s.seen = map[uint64]struct{}{}
	}
	s.seen[h.Sum64()] = struct{}{}
	switch {
	case len(s.seen) == n:
		return nil
	case n == maxDistinct:
		return errDistinct
	}
	return s.room.take(32)
}

func (s *set) result(string) any { return len(s.seen) }
