// Package jq compiles and runs jq expressions within bounds: an Expr is of a
// subset that can neither run nor grow without end; a Program is of the whole
// language, for a process of its own that has limits.
package jq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/itchyny/gojq"

	"github.com/ratchetd/ratchet/executor/redact"
)

// Limits of an expression.
const (
	MaxExpr = 4096        // bytes of source
	MaxEval = time.Second // of one evaluation
)

// An Expr is a compiled jq expression. It may be used by several goroutines,
// one after another.
type Expr struct {
	code  *gojq.Code
	mu    sync.Mutex // guards meter, which the functions in code charge
	meter meter
}

// A Func is a function that an expression may call besides those of jq. Impl
// gets the input and the arguments as Input makes them.
type Func struct {
	Name  string
	Arity int
	Impl  func(input any, args []any) (any, error)
	// Bind, where it is set, gets the first argument of a call as an expression
	// of its own, and the others, which must be texts, when the call is compiled.
	// Impl then gets the number that it returns as the first argument.
	Bind func(of *Expr, others []string) (int, error)
}

// Compile reads an expression of the subset that is safe on a small device.
// The subset is the table of functions in subset.go and what rewriter lets
// pass; none of it can run or grow without bound.
func Compile(src string, funcs ...Func) (e *Expr, err error) {
	defer engineFault(&err)
	if len(src) > MaxExpr {
		return nil, fmt.Errorf("the expression has %d bytes: at most %d are taken", len(src), MaxExpr)
	}
	query, err := gojq.Parse(src)
	if err != nil {
		return nil, syntaxError(err)
	}
	if err := restrict(query, funcs); err != nil {
		return nil, err
	}
	e = &Expr{}
	if e.code, err = gojq.Compile(query, e.meter.functions(funcs)...); err != nil {
		return nil, err
	}
	return e, nil
}

func syntaxError(err error) error {
	var parse *gojq.ParseError
	if errors.As(err, &parse) {
		return fmt.Errorf("not jq at byte %d: %w", parse.Offset, err)
	}
	return err
}

var (
	errNoValue = errors.New("it gives no value")
	errTooLong = errors.New("took longer than 1s")
)

// Eval returns the expression's first output; none is an error. input is what
// Input returned. The output may share parts with the input.
func (e *Expr) Eval(ctx context.Context, input any) (v any, err error) {
	defer engineFault(&err)
	ctx, cancel := context.WithTimeoutCause(ctx, MaxEval, errTooLong)
	defer cancel()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.meter.left = maxWork
	v, ok := e.code.RunWithContext(ctx, input).Next()
	failure, failed := v.(error)
	switch {
	case e.meter.left < 0: // also when a ? in the expression caught it
		return nil, errTooMuch
	case !ok:
		return nil, errNoValue
	case failed && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case failed:
		return nil, briefly(failure)
	}
	return v, nil
}

// Bool evaluates a condition as jq sees truth: null, false and no output are
// false, all else is true.
func (e *Expr) Bool(ctx context.Context, input any) (bool, error) {
	v, err := e.Eval(ctx, input)
	if errors.Is(err, errNoValue) {
		return false, nil
	}
	return err == nil && v != nil && v != false, err
}

// engineFault makes an error of a panic. The engine is not ours and what it
// runs comes over the network: it must not take the agent down.
func engineFault(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("the jq engine gave up: %v", r)
	}
}

// briefly keeps an error, which may quote the input, short enough to report.
func briefly(err error) error {
	return errors.New(redact.Clip(err.Error(), 256))
}

// Input turns a value into what Eval takes, by way of its JSON. Integers stay
// exact.
func Input(v any) (any, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.UseNumber()
	var out any
	if err := dec.Decode(&out); err != nil {
		return nil, err
	}
	return plainNumbers(out)
}

// plainNumbers replaces json.Number, which the engine would parse again at
// every use, in place.
func plainNumbers(v any) (_ any, err error) {
	switch v := v.(type) {
	case json.Number:
		return parseNumber(v.String())
	case []any:
		for i := range v {
			if v[i], err = plainNumbers(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for k := range v {
			if v[k], err = plainNumbers(v[k]); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}
