package jq

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/itchyny/gojq"
)

// The engine looks at the deadline between instructions only and has no limit
// on memory, so the functions below charge for what they build or visit before
// they do. One unit is about a byte.
const (
	maxValue = 256 << 10 // units of one value that an expression builds
	maxWork  = 4 << 20   // units of one evaluation
	unitNode = 16        // of a number, a list or an object
)

var (
	errTooMuch = errors.New("too much work: it may build or visit 4 MiB in all")
	errTooBig  = errors.New("too big a value: at most 256 KiB")
)

// A meter counts down the work that an evaluation may still do. Below zero it
// stays there: what the expression catches does not buy it new work.
type meter struct{ left int }

func (m *meter) charge(units int) error {
	if m.left < 0 || units > m.left {
		m.left = -1
		return errTooMuch
	}
	m.left -= units
	return nil
}

// functions are what the rewriter puts into expressions, and the caller's own.
func (m *meter) functions(extra []Func) []gojq.CompilerOption {
	options := []gojq.CompilerOption{
		option("_fits", 0, func(v any, _ []any) (any, error) { return v, m.fits(v) }),
		option("_element", 0, func(v any, _ []any) (any, error) { return v, m.charge(2 * unitNode) }),
		option("_iterates", 0, func(v any, _ []any) (any, error) { return v, m.charge(4 * unitNode * count(v)) }),
		option("_key", 0, func(v any, _ []any) (any, error) { return v, checkKey(v) }),
		option("_sum", 2, func(_ any, a []any) (any, error) { return m.sum(a[0], a[1]) }),
		option("_contains", 1, func(v any, a []any) (any, error) { return m.contains(v, a[0]) }),
		option("_split", 1, func(v any, a []any) (any, error) { return m.split(v, a[0]) }),
		option("_join", 1, func(v any, a []any) (any, error) { return m.join(v, a[0]) }),
		option("_test", 2, func(v any, a []any) (any, error) { return m.test(v, a[0], a[1]) }),
		option("_tonumber", 0, func(v any, _ []any) (any, error) { return toNumber(v) }),
	}
	options = append(options, rounding()...)
	for name, compute := range operators {
		options = append(options, option(name, 2, func(_ any, a []any) (any, error) { return compute.of(a[0], a[1]) }))
	}
	for _, f := range extra {
		options = append(options, option(f.Name, f.Arity, func(v any, a []any) (any, error) {
			out, err := f.Impl(v, a)
			if err == nil {
				out, err = Input(out)
			}
			return out, err
		}))
	}
	return options
}

func option(name string, arity int, f func(any, []any) (any, error)) gojq.CompilerOption {
	return gojq.WithFunction(name, arity, arity, func(v any, args []any) any {
		out, err := f(v, args)
		if err != nil {
			return err
		}
		return out
	})
}

// fits charges for a value and refuses one that is too big or no number. What
// is shared inside a value counts as often as it is seen: that is what it
// costs to compare it, to print it and to send it.
func (m *meter) fits(v any) error {
	left, err := weigh(v, maxValue)
	if err != nil {
		return err
	}
	return m.charge(maxValue - left)
}

// weigh is what is left of the units when v is paid for.
func weigh(v any, left int) (int, error) {
	left -= unitNode
	var err error
	switch v := v.(type) {
	case string:
		left -= len(v)
	case *big.Int:
		left -= v.BitLen() / 8
	case float64:
		err = finite(v)
	case []any:
		for i := 0; i < len(v) && err == nil; i++ {
			left, err = weigh(v[i], left)
		}
	case map[string]any:
		for k, e := range v {
			if left, err = weigh(e, left-unitNode-len(k)); err != nil {
				break
			}
		}
	}
	if left < 0 && err == nil {
		err = errTooBig
	}
	return left, err
}

// count is how many elements v has at its first level.
func count(v any) int {
	switch v := v.(type) {
	case []any:
		return len(v)
	case map[string]any:
		return len(v)
	}
	return 0
}

func checkKey(v any) error {
	switch v.(type) {
	case []any, map[string]any:
		return fmt.Errorf("%s is no index: want a name or a number", gojq.TypeOf(v))
	}
	return nil
}
