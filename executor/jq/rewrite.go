package jq

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/itchyny/gojq"
)

// arithmetic are our functions for the operators whose results can grow.
var arithmetic = map[gojq.Operator]string{
	gojq.OpAdd: "_sum", gojq.OpSub: "_difference", gojq.OpMul: "_product",
	gojq.OpDiv: "_quotient", gojq.OpMod: "_remainder",
}

func (r *rewriter) queries(qs ...*gojq.Query) error {
	for _, q := range qs {
		if err := r.query(q); err != nil {
			return err
		}
	}
	return nil
}

// query rewrites q in place; nil is what an optional part is when it is absent.
func (r *rewriter) query(q *gojq.Query) error {
	switch {
	case q == nil:
		return nil
	case q.Meta != nil:
		return notAllowed("module")
	case len(q.Imports) > 0:
		return notAllowed("import")
	case len(q.FuncDefs) > 0:
		return notAllowed("def")
	case q.Term != nil:
		return r.term(q.Term)
	case len(q.Patterns) > 1 || len(q.Patterns) == 1 && q.Patterns[0].Name == "":
		return notAllowed("taking a value apart with as")
	}
	if err := r.queries(q.Left, q.Right); err != nil {
		return err
	}
	if name, ok := arithmetic[q.Op]; ok {
		*q = *callTo(name, q.Left, q.Right)
		return nil
	}
	if q.Op >= gojq.OpAssign {
		return notAllowed("changing a value with " + q.Op.String())
	}
	return nil
}

// term rewrites t in place. Only its head: the suffixes follow.
func (r *rewriter) term(t *gojq.Term) error {
	if what, refused := refusedTerms[t.Type]; refused {
		return notAllowed(what)
	}
	suffixes := t.SuffixList
	t.SuffixList = nil
	if err := r.head(t); err != nil {
		return err
	}
	for _, s := range suffixes {
		if err := r.index(s.Index); err != nil {
			return err
		}
		if s.Iter { // the engine copies what it iterates over
			parenthesize(t, pipe(queryOf(*t), callTo("_iterates")))
		}
		t.SuffixList = append(t.SuffixList, s)
	}
	return nil
}

func (r *rewriter) head(t *gojq.Term) error {
	switch t.Type {
	case gojq.TermTypeIndex:
		return r.index(t.Index)
	case gojq.TermTypeNumber:
		return checkLiteral(t.Number)
	case gojq.TermTypeFunc:
		return r.call(t.Func)
	case gojq.TermTypeUnary:
		return r.term(t.Unary.Term)
	case gojq.TermTypeQuery:
		return r.query(t.Query)
	case gojq.TermTypeIf:
		return r.condition(t.If)
	case gojq.TermTypeString:
		return r.text(t)
	case gojq.TermTypeArray:
		return r.array(t)
	case gojq.TermTypeObject:
		return r.object(t)
	}
	return nil
}

func checkLiteral(number string) error {
	if _, err := strconv.ParseFloat(number, 64); err != nil {
		return fmt.Errorf("%s: too large a number", number)
	}
	return nil
}

func (r *rewriter) condition(c *gojq.If) error {
	for _, e := range c.Elif {
		if err := r.queries(e.Cond, e.Then); err != nil {
			return err
		}
	}
	return r.queries(c.Cond, c.Then, c.Else)
}

// index lets nothing but names and numbers through: an array as an index
// would search for every place where it occurs.
func (r *rewriter) index(x *gojq.Index) error {
	if x == nil {
		return nil
	}
	if x.Str != nil && x.Str.Queries != nil {
		x.Start, x.Str = stringOf(x.Str), nil
	}
	if err := r.queries(x.Start, x.End); err != nil {
		return err
	}
	if x.Start != nil && !x.IsSlice {
		x.Start = pipe(x.Start, callTo("_key"))
	}
	return nil
}

// text turns an interpolation into sums of texts.
func (r *rewriter) text(t *gojq.Term) error {
	var sum *gojq.Query
	for _, part := range t.Str.Queries {
		if part.Term == nil || part.Term.Str == nil {
			if err := r.query(part); err != nil {
				return err
			}
			part = pipe(part, callTo("_fits"), callTo("tostring"), callTo("_fits"))
		}
		if sum == nil {
			sum = part
		} else {
			sum = callTo("_sum", sum, part)
		}
	}
	if sum != nil {
		parenthesize(t, sum)
	}
	return nil
}

// array counts the elements while they are collected, then weighs the whole.
func (r *rewriter) array(t *gojq.Term) error {
	if t.Array.Query == nil {
		return nil
	}
	if err := r.query(t.Array.Query); err != nil {
		return err
	}
	t.Array.Query = pipe(t.Array.Query, callTo("_element"))
	parenthesize(t, pipe(queryOf(*t), callTo("_fits")))
	return nil
}

func (r *rewriter) object(t *gojq.Term) error {
	for _, kv := range t.Object.KeyVals {
		if kv.Key != "" && kv.Key[0] == '$' {
			if err := r.variable(kv.Key); err != nil {
				return err
			}
		}
		if kv.KeyString != nil && kv.KeyString.Queries != nil {
			if kv.Val == nil {
				return errors.New("an object's key with \\( ) in it needs a value")
			}
			kv.KeyQuery, kv.KeyString = stringOf(kv.KeyString), nil
		}
		if err := r.queries(kv.KeyQuery, kv.Val); err != nil {
			return err
		}
	}
	parenthesize(t, pipe(queryOf(*t), callTo("_fits")))
	return nil
}

func queryOf(t gojq.Term) *gojq.Query { return &gojq.Query{Term: &t} }

func stringOf(s *gojq.String) *gojq.Query {
	return queryOf(gojq.Term{Type: gojq.TermTypeString, Str: s})
}

func parenthesize(t *gojq.Term, q *gojq.Query) {
	*t = gojq.Term{Type: gojq.TermTypeQuery, Query: q}
}

func callTo(name string, args ...*gojq.Query) *gojq.Query {
	return queryOf(gojq.Term{Type: gojq.TermTypeFunc, Func: &gojq.Func{Name: name, Args: args}})
}

func pipe(q *gojq.Query, rest ...*gojq.Query) *gojq.Query {
	for _, next := range rest {
		q = &gojq.Query{Left: q, Op: gojq.OpPipe, Right: next}
	}
	return q
}
