package hub

import (
	"cmp"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// A condition is what stands behind WHERE: of a twin it holds, or not, or
// neither, where something that it compares is not there. That is SQL's way;
// [query] does not settle it. nil always holds.
type condition func(twin map[string]any) verdict

type verdict int

const (
	no verdict = iota
	unknown
	yes
)

func verdictOf(is bool) verdict {
	if is {
		return yes
	}
	return no
}

func holds(c condition, twin map[string]any) bool { return c == nil || c(twin) == yes }

// word is one of a query: a text, a name or number, or a sign.
var word = regexp.MustCompile(`'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[\w@$-]+(?:\.[\w@$-]+)*|<=|>=|<>|!=|[^\s]`)

func words(text string) []string { return word.FindAllString(text, -1) }

// A parser reads words; the first that it does not understand is its error.
type parser struct {
	words []string
	err   error
}

func (p *parser) peek() string {
	if len(p.words) == 0 {
		return ""
	}
	return p.words[0]
}

func (p *parser) next() string {
	w := p.peek()
	if w == "" {
		p.fail("its end")
		return ""
	}
	p.words = p.words[1:]
	return w
}

func (p *parser) is(w string) bool { return strings.EqualFold(p.peek(), w) }

func (p *parser) take(w string) bool {
	if !p.is(w) {
		return false
	}
	p.words = p.words[1:]
	return true
}

func (p *parser) want(w string) {
	if !p.take(w) {
		p.fail(strconv.Quote(p.peek()) + " instead of " + w)
	}
}

func (p *parser) fail(at string) { p.err = cmp.Or(p.err, error(fmt.Errorf("at %s", at))) }

// end is what is wrong with the text, once all of it should have been read.
func (p *parser) end(text string) error {
	if len(p.words) > 0 {
		p.fail(strconv.Quote(p.peek()))
	}
	if p.err != nil {
		return refuse(400, "ArgumentInvalid", "the query %q is not understood %v", text, p.err)
	}
	return nil
}

func (p *parser) either() condition {
	c := p.both()
	for p.take("OR") {
		left, right := c, p.both()
		c = func(twin map[string]any) verdict { return max(left(twin), right(twin)) }
	}
	return c
}

func (p *parser) both() condition {
	c := p.one()
	for p.take("AND") {
		left, right := c, p.one()
		c = func(twin map[string]any) verdict { return min(left(twin), right(twin)) }
	}
	return c
}

func (p *parser) one() condition {
	switch {
	case p.err != nil:
		return func(map[string]any) verdict { return no }
	case p.take("NOT"):
		c := p.one()
		return func(twin map[string]any) verdict { return yes - c(twin) }
	case p.take("("):
		c := p.either()
		p.want(")")
		return c
	}
	if len(p.words) > 1 && p.words[1] == "(" {
		return p.function()
	}
	return p.comparison()
}

// function is a call of one of a few.
func (p *parser) function() condition {
	name := strings.ToUpper(p.next())
	p.want("(")
	path := p.path()
	if name == "IS_DEFINED" {
		p.want(")")
		return func(twin map[string]any) verdict { _, ok := at(twin, path); return verdictOf(ok) }
	}
	is, known := map[string]func(string, string) bool{"STARTS_WITH": strings.HasPrefix, "STARTSWITH": strings.HasPrefix,
		"ENDS_WITH": strings.HasSuffix, "ENDSWITH": strings.HasSuffix, "CONTAINS": strings.Contains}[name]
	if !known {
		p.fail("the function " + name)
	}
	p.want(",")
	part, _ := p.value().(string)
	p.want(")")
	return func(twin map[string]any) verdict {
		v, _ := at(twin, path)
		text, ok := v.(string)
		if !ok {
			return unknown
		}
		return verdictOf(is(text, part))
	}
}

func (p *parser) comparison() condition {
	path := p.path()
	op := strings.ToUpper(p.next())
	var values []any
	switch op {
	case "IN", "NIN":
		p.want("[")
		for more := true; more && p.err == nil; more = p.take(",") {
			values = append(values, p.value())
		}
		p.want("]")
	case "=", "!=", "<>", "<", "<=", ">", ">=":
		values = []any{p.value()}
	default:
		p.fail(strconv.Quote(op))
	}
	return func(twin map[string]any) verdict {
		v, ok := at(twin, path)
		if !ok {
			return unknown
		}
		return compared(op, plain(v), values)
	}
}

// compared says what an operator makes of a value and others.
func compared(op string, v any, values []any) verdict {
	found := false
	for _, other := range values {
		found = found || reflect.DeepEqual(v, other)
	}
	switch op {
	case "=", "IN":
		return verdictOf(found)
	case "!=", "<>", "NIN":
		return verdictOf(!found)
	}
	order, comparable := ordered(v, values[0])
	if !comparable {
		return unknown
	}
	switch op {
	case "<":
		return verdictOf(order < 0)
	case "<=":
		return verdictOf(order <= 0)
	case ">":
		return verdictOf(order > 0)
	}
	return verdictOf(order >= 0)
}

func ordered(a, b any) (order int, ok bool) {
	switch a := a.(type) {
	case float64:
		n, ok := b.(float64)
		return cmp.Compare(a, n), ok
	case string:
		s, ok := b.(string)
		return cmp.Compare(a, s), ok
	}
	return 0, false
}

// path is the name of a part of a twin.
func (p *parser) path() []string {
	w := p.next()
	if !regexp.MustCompile(`^[A-Za-z_$@][\w@$.-]*$`).MatchString(w) {
		p.fail(strconv.Quote(w))
	}
	return strings.Split(w, ".")
}

// value is a text, a number, true, false or null.
func (p *parser) value() any {
	w := p.next()
	switch strings.ToLower(w) {
	case "true":
		return true
	case "false":
		return false
	case "null":
		return nil
	}
	if len(w) > 1 && (w[0] == '\'' || w[0] == '"') {
		return regexp.MustCompile(`\\(.)`).ReplaceAllString(w[1:len(w)-1], "$1")
	}
	n, err := strconv.ParseFloat(w, 64)
	if err != nil {
		p.fail(strconv.Quote(w))
	}
	return n
}
