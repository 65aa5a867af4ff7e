package jq

import (
	"fmt"

	"github.com/itchyny/gojq"
)

// subset are the functions that an expression may call, by name and arity,
// with what they stand for: nothing where the engine's own is safe as it is,
// else a body in which f and g are the arguments. The functions with an
// underscore are those of meter and the engine's own workings.
var subset = map[string]string{
	"abs/0": "", "all/2": "", "any/2": "", "empty/0": "", "endswith/1": "", "error/0": "", "error/1": "",
	"first/0": "", "first/1": "", "has/1": "", "in/1": "", "isempty/1": "", "last/0": "", "last/1": "",
	"length/0": "", "ltrimstr/1": "", "max/0": "", "min/0": "", "not/0": "", "rtrimstr/1": "", "select/1": "",
	"startswith/1": "", "trim/0": "", "type/0": "", "values/0": "",

	"ceil/0": "_ceil | _fits", "fabs/0": "fabs | _fits", "floor/0": "_floor | _fits", "round/0": "_round | _fits",
	"sqrt/0": "sqrt | _fits", "tonumber/0": "_tonumber",

	"add/0":            "_fits | add | _fits",
	"all/0":            "all(.[]; .)",
	"all/1":            "all(.[]; f)",
	"any/0":            "any(.[]; .)",
	"any/1":            "any(.[]; f)",
	"ascii_downcase/0": "ascii_downcase | _fits",
	"ascii_upcase/0":   "ascii_upcase | _fits",
	"contains/1":       "_contains(f)",
	"group_by/1":       "_group_by([.[] | [f]]) | _fits",
	"inside/1":         ". as $x | f | _contains($x)",
	"join/1":           "_join(f)",
	"keys/0":           "keys | _fits",
	"map/1":            "[.[] | f]",
	"max_by/1":         "_max_by([.[] | [f]])",
	"min_by/1":         "_min_by([.[] | [f]])",
	"reverse/0":        "reverse | _fits",
	"sort/0":           "sort | _fits",
	"sort_by/1":        "_sort_by([.[] | [f]]) | _fits",
	"split/1":          "_split(f)",
	"test/1":           "_test(f; null)",
	"test/2":           "_test(f; g)",
	"to_entries/0":     "[keys[] as $k | {key: $k, value: .[$k]}]",
	"tostring/0":       "_fits | tostring | _fits",
	"unique/0":         "unique | _fits",
	"unique_by/1":      "_unique_by([.[] | [f]]) | _fits",
}

var placeholders = []string{"f", "g"}

// refusedTerms are the terms outside the subset, in the words of jq's manual.
var refusedTerms = map[gojq.TermType]string{
	gojq.TermTypeRecurse: "..",
	gojq.TermTypeFormat:  "an @format",
	gojq.TermTypeTry:     "try",
	gojq.TermTypeReduce:  "reduce",
	gojq.TermTypeForeach: "foreach",
	gojq.TermTypeLabel:   "label",
	gojq.TermTypeBreak:   "break",
}

func notAllowed(what string) error { return fmt.Errorf("%s is not allowed here", what) }

// A rewriter checks an expression against the subset, and puts our metered
// functions in the place of all that builds new values.
type rewriter struct {
	extra   map[string]Func // of the caller of Compile
	library bool            // the text is a body from subset: every name is allowed
	used    map[string]bool // functions of subset with a body, already defined
	defs    []*gojq.FuncDef // for them
}

// restrict rewrites a parsed expression in place.
func restrict(q *gojq.Query, funcs []Func) error {
	r := rewriter{extra: map[string]Func{}, used: map[string]bool{}}
	for _, f := range funcs {
		r.extra[signature(f.Name, f.Arity)] = f
	}
	if err := r.query(q); err != nil {
		return err
	}
	q.FuncDefs = r.defs
	return nil
}

func signature(name string, arity int) string { return fmt.Sprintf("%s/%d", name, arity) }

// call allows one function, or replaces it by its definition from subset.
func (r *rewriter) call(f *gojq.Func) error {
	extra, ours := r.extra[signature(f.Name, len(f.Args))]
	if ours && extra.Bind != nil {
		return extra.bind(f)
	}
	if err := r.queries(f.Args...); err != nil {
		return err
	}
	if f.Name[0] == '$' {
		return r.variable(f.Name)
	}
	sig := signature(f.Name, len(f.Args))
	if r.library || ours {
		return nil
	}
	body, ok := subset[sig]
	switch {
	case !ok:
		return notAllowed(sig)
	case body == "":
		return nil
	case sig == "test/1" || sig == "test/2":
		if err := checkPattern(f.Args[0]); err != nil {
			return err
		}
	}
	f.Name = "_our_" + f.Name
	return r.define(sig, f.Name, len(f.Args), body)
}

// bind replaces the first argument of a call by the number of what it stands for.
func (f Func) bind(call *gojq.Func) error {
	of, err := Compile(call.Args[0].String())
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	var others []string
	for _, arg := range call.Args[1:] {
		t := arg.Term
		if t == nil || t.Type != gojq.TermTypeString || len(t.Str.Queries) > 0 || len(t.SuffixList) > 0 {
			return fmt.Errorf("%s: %s: want a text, such as \"5m\"", f.Name, arg)
		}
		others = append(others, t.Str.Str)
	}
	n, err := f.Bind(of, others)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	call.Args[0] = &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeNumber, Number: fmt.Sprint(n)}}
	return nil
}

func (r *rewriter) define(sig, name string, arity int, body string) error {
	if r.used[sig] {
		return nil
	}
	r.used[sig] = true
	q, err := gojq.Parse(body)
	if err != nil {
		return err
	}
	own := rewriter{library: true}
	if err := own.query(q); err != nil {
		return err
	}
	r.defs = append(r.defs, &gojq.FuncDef{Name: name, Args: placeholders[:arity], Body: q})
	return nil
}

// variable refuses the environment; the engine itself knows whether another
// name was bound.
func (r *rewriter) variable(name string) error {
	if name == "$ENV" {
		return notAllowed(name)
	}
	return nil
}
