package jq

import (
	"fmt"
	"regexp"
	"regexp/syntax"

	"github.com/itchyny/gojq"
)

// Limits of a regular expression. A repetition such as a{1000} is that many
// instructions, so few bytes can ask for a large program.
const (
	maxPattern      = 256
	maxInstructions = 2000
)

// test is jq's function of that name. Matching costs at most the product of
// the text's and the program's sizes, which is charged first.
func (m *meter) test(v, pattern, flags any) (any, error) {
	text, ok := v.(string)
	expr, okay := pattern.(string)
	if !ok || !okay {
		return nil, fmt.Errorf("cannot test %s with %s", described(v), described(pattern))
	}
	switch flags {
	case nil:
	case "i":
		expr = "(?i)" + expr
	default:
		return nil, fmt.Errorf("test: the flags are %s: only \"i\" is known", gojq.Preview(flags))
	}
	size, err := programSize(expr)
	if err != nil {
		return nil, err
	}
	if err := m.charge(unitNode*(len(expr)+size) + len(text)*size/4); err != nil {
		return nil, err
	}
	re, err := regexp.Compile(expr)
	return err == nil && re.MatchString(text), err
}

func programSize(expr string) (int, error) {
	if len(expr) > maxPattern {
		return 0, fmt.Errorf("the regular expression has %d bytes: at most %d are taken", len(expr), maxPattern)
	}
	parsed, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return 0, err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 0, err
	}
	if len(program.Inst) > maxInstructions {
		return 0, fmt.Errorf("the regular expression %q repeats too much", expr)
	}
	return len(program.Inst), nil
}

// checkPattern finds a regular expression that can never work before it is
// needed, if it is written out.
func checkPattern(q *gojq.Query) error {
	if q.Term == nil || q.Term.Type != gojq.TermTypeString || q.Term.Str.Queries != nil || q.Term.SuffixList != nil {
		return nil
	}
	_, err := programSize(q.Term.Str.Str)
	return err
}
