package jq

import (
	"slices"

	"github.com/itchyny/gojq"
)

// A want is what a program reads of a value. The zero want is its kind and, of
// what has parts, nothing: null, false and the scalars are told apart all the same.
type want struct {
	whole  bool
	fields map[string]*want // of an object
	items  *want            // of a list
}

func (w *want) field(name string) *want {
	if w.fields == nil {
		w.fields = map[string]*want{}
	}
	if w.fields[name] == nil {
		w.fields[name] = &want{}
	}
	return w.fields[name]
}

func (w *want) item() *want {
	if w.items == nil {
		w.items = &want{}
	}
	return w.items
}

// wanted is what the program reads of each of its inputs: where it is not plain that
// it reads less, all of it.
func wanted(q *gojq.Query) *want {
	r := &reading{input: &want{}, bound: map[string]parts{}}
	out, known := r.query(q, nil)
	if !known {
		return &want{whole: true}
	}
	out.all()
	return r.input
}

// parts are those of an input that a value may be. What is made of other things is
// none of them.
type parts []*want

// all notes that the values are read whole.
func (p parts) all() {
	for _, w := range p {
		w.whole = true
	}
}

// A reading follows the parts of an input through a program.
type reading struct {
	input *want
	bound map[string]parts // by variable
}

// query returns what q gives out for those values, and whether all of q is known.
func (r *reading) query(q *gojq.Query, in parts) (out parts, known bool) {
	switch {
	case q == nil:
		return nil, true
	case q.Meta != nil || len(q.Imports) > 0 || len(q.FuncDefs) > 0:
		return nil, false
	case q.Term != nil:
		return r.term(q.Term, in)
	case q.Op == gojq.OpPipe && len(q.Patterns) > 0:
		return r.bind(q, in)
	case q.Op == gojq.OpPipe:
		left, known := r.query(q.Left, in)
		if !known {
			return nil, false
		}
		return r.query(q.Right, left)
	}
	return r.operation(q, in)
}

// bind is `left as $name | right`.
func (r *reading) bind(q *gojq.Query, in parts) (parts, bool) {
	left, known := r.query(q.Left, in)
	if !known || !r.name(q.Patterns, left) {
		return nil, false
	}
	return r.query(q.Right, in)
}

// name binds a plain variable; one that is bound already is not known.
func (r *reading) name(patterns []*gojq.Pattern, value parts) bool {
	if len(patterns) != 1 || patterns[0].Name == "" {
		return false
	}
	name := patterns[0].Name
	if _, twice := r.bound[name]; twice {
		return false
	}
	r.bound[name] = value
	return true
}

func (r *reading) operation(q *gojq.Query, in parts) (parts, bool) {
	left, known := r.query(q.Left, in)
	right, alsoKnown := r.query(q.Right, in)
	if !known || !alsoKnown || q.Op >= gojq.OpAssign {
		return nil, false
	}
	switch q.Op {
	case gojq.OpComma, gojq.OpAlt:
		return slices.Concat(left, right), true
	case gojq.OpAnd, gojq.OpOr: // what is true and what not is known of any value
		return nil, true
	}
	left.all()
	right.all()
	return nil, true
}

// queries are evaluated for those values, and what they give out is read whole.
func (r *reading) queries(in parts, qs ...*gojq.Query) bool {
	for _, q := range qs {
		out, known := r.query(q, in)
		if !known {
			return false
		}
		out.all()
	}
	return true
}

func (r *reading) term(t *gojq.Term, in parts) (parts, bool) {
	out, known := r.head(t, in)
	for _, s := range t.SuffixList {
		switch {
		case !known:
			return nil, false
		case s.Index != nil:
			out, known = r.index(s.Index, out, in)
		case s.Iter:
			out = iterate(out)
		}
	}
	return out, known
}

func (r *reading) head(t *gojq.Term, in parts) (parts, bool) {
	switch t.Type {
	case gojq.TermTypeIdentity:
		return in, true
	case gojq.TermTypeNull, gojq.TermTypeTrue, gojq.TermTypeFalse, gojq.TermTypeNumber:
		return nil, true
	case gojq.TermTypeIndex:
		return r.index(t.Index, in, in)
	case gojq.TermTypeFunc:
		return r.call(t.Func, in)
	case gojq.TermTypeObject:
		return nil, r.object(t.Object, in)
	case gojq.TermTypeArray:
		return nil, r.queries(in, t.Array.Query)
	case gojq.TermTypeUnary:
		return nil, r.queries(in, &gojq.Query{Term: t.Unary.Term})
	case gojq.TermTypeString:
		return nil, t.Str == nil || r.queries(in, t.Str.Queries...)
	case gojq.TermTypeIf:
		return r.choice(t.If, in)
	case gojq.TermTypeReduce:
		return nil, r.fold(t.Reduce.Query, t.Reduce.Patterns, in, t.Reduce.Start, t.Reduce.Update, nil)
	case gojq.TermTypeForeach:
		return nil, r.fold(t.Foreach.Query, t.Foreach.Patterns, in, t.Foreach.Start, t.Foreach.Update, t.Foreach.Extract)
	case gojq.TermTypeQuery:
		return r.query(t.Query, in)
	}
	return nil, false
}

// index is a part of the values in of; the index itself sees in.
func (r *reading) index(i *gojq.Index, of, in parts) (out parts, known bool) {
	name := i.Name
	if i.Str != nil && len(i.Str.Queries) == 0 {
		name = i.Str.Str
	}
	if name == "" || i.Start != nil || i.End != nil || i.IsSlice {
		of.all()
		return nil, i.Str == nil && r.queries(in, i.Start, i.End)
	}
	for _, w := range of {
		out = append(out, w.field(name))
	}
	return out, true
}

// iterate is what is in the values. Of an object all is read: which fields it has
// is not known.
func iterate(of parts) (out parts) {
	for _, w := range of {
		out = append(out, w.item())
	}
	return out
}

func (r *reading) object(o *gojq.Object, in parts) bool {
	for _, kv := range o.KeyVals {
		switch {
		case kv.KeyQuery != nil && !r.queries(in, kv.KeyQuery),
			kv.KeyString != nil && !r.queries(in, kv.KeyString.Queries...):
			return false
		case kv.Val != nil:
			if !r.queries(in, kv.Val) {
				return false
			}
		case kv.KeyString != nil || kv.Key == "" || kv.Key[0] == '$': // {"a"}, {$a}
			return false
		default: // {a}
			for _, w := range in {
				w.field(kv.Key).whole = true
			}
		}
	}
	return true
}

func (r *reading) choice(i *gojq.If, in parts) (out parts, known bool) {
	branches := []*gojq.Query{i.Then, i.Else}
	conditions := []*gojq.Query{i.Cond}
	for _, e := range i.Elif {
		conditions, branches = append(conditions, e.Cond), append(branches, e.Then)
	}
	for _, c := range conditions {
		if _, known := r.query(c, in); !known {
			return nil, false
		}
	}
	for _, b := range branches {
		if b == nil { // no else: the value itself
			out = append(out, in...)
			continue
		}
		more, known := r.query(b, in)
		if !known {
			return nil, false
		}
		out = append(out, more...)
	}
	return out, true
}

// fold is reduce or foreach. What it carries on is made of what is read whole.
func (r *reading) fold(source *gojq.Query, patterns []*gojq.Pattern, in parts, start, update, extract *gojq.Query) bool {
	each, known := r.query(source, in)
	return known && r.name(patterns, each) && r.queries(in, start) && r.queries(nil, update, extract)
}

// call is a call of a variable or of one of the functions whose reading is known.
func (r *reading) call(f *gojq.Func, in parts) (parts, bool) {
	if value, bound := r.bound[f.Name]; bound && len(f.Args) == 0 {
		return value, true
	}
	switch f.Name {
	case "input", "inputs":
		return parts{r.input}, len(f.Args) == 0
	case "empty", "not", "isempty":
		for _, a := range f.Args {
			if _, known := r.query(a, in); !known {
				return nil, false
			}
		}
		return nil, true
	case "select":
		if len(f.Args) != 1 {
			return nil, false
		}
		_, known := r.query(f.Args[0], in)
		return in, known
	case "map":
		return nil, len(f.Args) == 1 && r.queries(iterate(in), f.Args[0])
	}
	if !plainFunctions[f.Name] {
		return nil, false
	}
	in.all()
	return nil, r.queries(in, f.Args...)
}

// plainFunctions look at their input and at what their arguments give for it, and
// at nothing else.
var plainFunctions = map[string]bool{
	"length": true, "keys": true, "type": true, "tostring": true, "tonumber": true, "tojson": true, "fromjson": true,
	"add": true, "min": true, "max": true, "floor": true, "ceil": true, "round": true, "sqrt": true, "fabs": true, "abs": true,
	"test": true, "contains": true, "startswith": true, "endswith": true, "ltrimstr": true, "rtrimstr": true, "split": true, "join": true,
	"ascii_downcase": true, "ascii_upcase": true, "has": true, "any": true, "all": true, "sort": true, "sort_by": true, "group_by": true,
	"unique": true, "unique_by": true, "min_by": true, "max_by": true, "reverse": true, "flatten": true, "to_entries": true,
	"from_entries": true, "fromdate": true, "todate": true, "fromdateiso8601": true, "todateiso8601": true, "error": true,
}
