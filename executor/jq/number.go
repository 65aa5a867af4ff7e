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
}

var operators = map[string]operator{
	"_difference": {"subtract", func(l, r float64) float64 { return l - r }},
	"_product":    {"multiply", func(l, r float64) float64 { return l * r }},
	"_quotient":   {"divide", func(l, r float64) float64 { return l / r }},
	"_remainder":  {"divide", func(l, r float64) float64 { return math.Mod(math.Trunc(l), math.Trunc(r)) }},
}

var plus = operator{"add", func(l, r float64) float64 { return l + r }}

// of computes in float64: integers are exact up to 2^53 and never grow without
// bound, as the engine's own do.
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
	if math.Trunc(f) == f && math.Abs(f) <= min(1<<53, math.MaxInt) {
		return int(f), nil
	}
	return f, nil
}

func described(v any) string { return gojq.TypeOf(v) + " (" + gojq.Preview(v) + ")" }

// parseNumber reads a JSON number into what the engine takes. Integers stay
// exact; what float64 cannot hold becomes the largest that it can.
func parseNumber(s string) any {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	if _, err := strconv.ParseInt(s, 10, 64); err == nil { // a 32-bit board
		n, _ := new(big.Int).SetString(s, 10)
		return n
	}
	f, _ := strconv.ParseFloat(s, 64)
	return max(-math.MaxFloat64, min(f, math.MaxFloat64))
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
	return parseNumber(text), nil
}

var errNoNumber = errors.New("the result is no number")

func finite(f float64) error {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return errNoNumber
	}
	return nil
}
