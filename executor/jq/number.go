package jq

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/itchyny/gojq"
)

// An operator is arithmetic on two numbers.
type operator struct {
	verb    string
	compute func(l, r float64) float64
	exact   func(z, l, r *big.Int) *big.Int // on integers; nil: only compute
}

var operators = map[string]operator{
	"_difference": {"subtract", func(l, r float64) float64 { return l - r }, (*big.Int).Sub},
	"_product":    {"multiply", func(l, r float64) float64 { return l * r }, (*big.Int).Mul},
	"_quotient":   {"divide", func(l, r float64) float64 { return l / r }, nil},
	"_remainder":  {"divide", func(l, r float64) float64 { return math.Mod(math.Trunc(l), math.Trunc(r)) }, (*big.Int).Rem},
}

var plus = operator{"add", func(l, r float64) float64 { return l + r }, (*big.Int).Add}

// exactFloat is up to where every integer is a float64.
const exactFloat = 1 << 53

// mostBits is how long an integer may become that is computed exactly: the engine's
// own grow without bound.
const mostBits = 1024

// of computes in float64, which is exact for integers up to exactFloat; beyond that
// integers are computed as such, as long as they have at most mostBits.
func (o operator) of(l, r any) (any, error) {
	x, isNumber := gojq.ToFloat64(l)
	y, areNumbers := gojq.ToFloat64(r)
	if !isNumber || !areNumbers {
		return nil, fmt.Errorf("cannot %s: %s and %s", o.verb, described(l), described(r))
	}
	f := o.compute(x, y)
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, fmt.Errorf("cannot %s: %s and %s give no number", o.verb, described(l), described(r))
	}
	if max(math.Abs(x), math.Abs(y), math.Abs(f)) >= exactFloat {
		if n := o.ofIntegers(l, r); n != nil {
			return n, nil
		}
	}
	if math.Trunc(f) == f && math.Abs(f) <= min(exactFloat, math.MaxInt) {
		return int(f), nil
	}
	return f, nil
}

// ofIntegers is the exact result for two integers; nil where there is none.
func (o operator) ofIntegers(l, r any) any {
	x, y := integer(l), integer(r)
	if o.exact == nil || x == nil || y == nil || x.BitLen()+y.BitLen() > mostBits {
		return nil
	}
	n := o.exact(new(big.Int), x, y)
	if n.IsInt64() && int64(int(n.Int64())) == n.Int64() {
		return int(n.Int64())
	}
	return n
}

// roundings are the functions that make a number whole. Of an integer the engine's would
// make a float64 first, which has 53 bits.
var roundings = map[string]func(float64) float64{
	"floor": math.Floor, "ceil": math.Ceil, "round": math.Round, "trunc": math.Trunc,
	"rint": math.RoundToEven, "nearbyint": math.RoundToEven,
}

// rounding gives the engine roundings, each under its name with an underscore: the names
// of its own functions it gives to no others.
func rounding() (options []gojq.CompilerOption) {
	for name, round := range roundings {
		options = append(options, option("_"+name, 0, func(v any, _ []any) (any, error) {
			x, isNumber := gojq.ToFloat64(v)
			switch {
			case integer(v) != nil:
				return v, nil
			case !isNumber:
				return nil, fmt.Errorf("%s cannot be applied to: %s", name, described(v))
			}
			return round(x), nil
		}))
	}
	return options
}

// integer is v where the engine has it as one; else nil.
func integer(v any) *big.Int {
	switch v := v.(type) {
	case int:
		return big.NewInt(int64(v))
	case *big.Int:
		return v
	}
	return nil
}

func described(v any) string { return gojq.TypeOf(v) + " (" + gojq.Preview(v) + ")" }

// maxDigits is how long an integer may be that is read.
const maxDigits = 1000

// parseNumber reads a JSON number into what the engine takes. Integers stay
// exact; a fraction that float64 cannot hold becomes the largest that it can.
func parseNumber(s string) (any, error) {
	if n, err := strconv.Atoi(s); err == nil {
		return n, nil
	}
	if !strings.ContainsAny(s, ".eE") {
		if len(s) > maxDigits {
			return nil, fmt.Errorf("a number of %d digits: at most %d are taken: write it as a text", len(s), maxDigits)
		}
		n, _ := new(big.Int).SetString(s, 10)
		return n, nil
	}
	f, _ := strconv.ParseFloat(s, 64)
	return max(-math.MaxFloat64, min(f, math.MaxFloat64)), nil
}

// toNumber is the function tonumber, for texts of a sensible length.
func toNumber(v any) (any, error) {
	text, ok := v.(string)
	if !ok {
		if _, ok := gojq.ToFloat64(v); ok {
			return v, nil
		}
		return nil, fmt.Errorf("cannot make a number of %s", described(v))
	}
	_, err := strconv.ParseFloat(text, 64)
	if len(text) > 32 || err != nil || strings.Trim(text, "0123456789+-.eE") != "" {
		return nil, fmt.Errorf("cannot make a number of %s", described(v))
	}
	return parseNumber(text)
}

var errNoNumber = errors.New("the result is no number")

func finite(f float64) error {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return errNoNumber
	}
	return nil
}
