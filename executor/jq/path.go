package jq

import (
	"errors"

	"github.com/itchyny/gojq"
)

// A Path names a part of a value: the fields that lead there, outermost first. The
// empty Path is the whole value.
type Path []string

var errNoPath = errors.New(`want a path, such as .sensor, .battery.volts or .["two words"]`)

// ParsePath reads a path in jq's words: field names alone, no index and no function.
func ParsePath(src string) (p Path, err error) {
	defer engineFault(&err)
	if len(src) > MaxExpr {
		return nil, errNoPath
	}
	query, err := gojq.Parse(src)
	if err != nil || query.Term == nil || query.Op != 0 || query.Meta != nil || len(query.Imports)+len(query.FuncDefs) > 0 {
		return nil, errNoPath
	}
	steps := []*gojq.Index{query.Term.Index}
	switch query.Term.Type {
	case gojq.TermTypeIdentity:
		steps = nil
	case gojq.TermTypeIndex:
	default:
		return nil, errNoPath
	}
	for _, s := range query.Term.SuffixList {
		steps = append(steps, s.Index) // nil for what is no index
	}
	for _, s := range steps {
		name, ok := fieldName(s)
		if !ok {
			return nil, errNoPath
		}
		p = append(p, name)
	}
	return p, nil
}

// fieldName is the field that an index names: .a, ."a" or .["a"].
func fieldName(i *gojq.Index) (string, bool) {
	switch {
	case i == nil || i.IsSlice || i.End != nil:
		return "", false
	case i.Name != "":
		return i.Name, true
	case i.Str != nil:
		return i.Str.Str, len(i.Str.Queries) == 0
	case i.Start == nil || i.Start.Term == nil || i.Start.Term.Str == nil || len(i.Start.Term.SuffixList) > 0:
		return "", false
	}
	return i.Start.Term.Str.Str, len(i.Start.Term.Str.Queries) == 0
}

// In returns the part of v; where there is none, null.
func (p Path) In(v any) any {
	for _, name := range p {
		object, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = object[name]
	}
	return v
}

// ReaderOf returns a Reader that makes values only of what the paths lead to.
func ReaderOf(paths []Path) *Reader {
	want := &want{}
	for _, p := range paths {
		part := want
		for _, name := range p {
			part = part.field(name)
		}
		part.whole = true
	}
	return &Reader{want: want, names: map[string]string{}}
}

// Text is a value of the engine as compact JSON. What is no number becomes null, and
// what is infinite the largest number.
func Text(v any) ([]byte, error) { return gojq.Marshal(v) }

// Compare orders values of the engine as jq does; it is below 0 where l comes first.
func Compare(l, r any) int { return gojq.Compare(l, r) }

// Float returns a number of the engine as float64, and whether v is one.
func Float(v any) (float64, bool) { return gojq.ToFloat64(v) }

// Number reads the number that is all of text, and reports whether there is one.
func Number(text string) (any, bool) {
	n, err := toNumber(text)
	return n, err == nil
}
