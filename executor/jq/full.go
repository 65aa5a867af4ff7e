package jq

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/itchyny/gojq"
)

// A Program is a compiled program of the whole jq language. Unlike an Expr it
// can run for ever and take all the memory there is, so it is run only in a
// process of its own that has limits.
type Program struct {
	code   *gojq.Code
	inputs *inputs
	want   *want // of each input
}

// CompileProgram reads a program. Its input and inputs get what next returns,
// values as a Reader makes them, or ParseValue, up to io.EOF; without next there are none.
// It reaches nothing else: no files, no modules, no environment.
func CompileProgram(src string, next func() (any, error)) (p *Program, err error) {
	defer engineFault(&err)
	if len(src) > MaxExpr {
		return nil, fmt.Errorf("the program has %d bytes: at most %d are taken", len(src), MaxExpr)
	}
	query, err := gojq.Parse(src)
	if err != nil {
		return nil, syntaxError(err)
	}
	p = &Program{inputs: &inputs{next: next}, want: wanted(query)}
	for name := range roundings {
		query.FuncDefs = append([]*gojq.FuncDef{{Name: name, Body: callTo("_" + name)}}, query.FuncDefs...)
	}
	p.code, err = gojq.Compile(query, append(rounding(), gojq.WithInputIter(p.inputs))...)
	return p, err
}

// Run runs the program once, with null as its input, and gives each value that
// comes out to emit as compact JSON, which is good until emit returns.
func (p *Program) Run(emit func(value []byte) error) (err error) {
	return p.Values(func(v any) error {
		text, err := gojq.Marshal(v)
		if err != nil {
			return err
		}
		return emit(text)
	})
}

// Values is Run for values as the engine has them. They may share parts with others.
func (p *Program) Values(emit func(v any) error) (err error) {
	defer engineFault(&err)
	for values := p.code.Run(nil); ; {
		v, more := values.Next()
		if p.inputs.failure != nil { // also when the program caught it
			return p.inputs.failure
		}
		if err, failed := v.(error); failed {
			return ended(err)
		}
		if !more {
			return nil
		}
		if err := emit(v); err != nil {
			return err
		}
	}
}

// ended reports whether a program failed or only halted.
func ended(err error) error {
	var halt *gojq.HaltError
	switch {
	case errors.As(err, &halt) && halt.Value() == nil:
		return nil
	case err.Error() == "break": // the engine's word for it
		return errors.New("there is no more input")
	}
	return briefly(err)
}

// inputs is what a program reads. What it cannot read ends the program,
// whatever the program makes of the error.
type inputs struct {
	next    func() (any, error)
	failure error
}

// Next implements gojq.Iter.
func (i *inputs) Next() (any, bool) {
	if i.failure != nil {
		return i.failure, true
	}
	if i.next == nil {
		return nil, false
	}
	v, err := i.next()
	if err == io.EOF {
		return nil, false
	}
	if err != nil {
		i.failure = err
		return err, true
	}
	return v, true
}

// ParseValue reads the one JSON value in text for a Program. Integers stay
// exact.
func ParseValue(text string) (any, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, notJSON(err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("more text after the JSON value")
	}
	return plainNumbers(v)
}

func notJSON(err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("not JSON at byte %d: %w", syntax.Offset, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("not JSON: it ends too early")
	}
	return err
}
