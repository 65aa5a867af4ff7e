package aggregate

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/jq"
)

// A plan is a Spec that was checked.
type plan struct {
	by      []field
	time    jq.Path
	span    int64 // of a bucket, in milliseconds; 0 is none
	columns []column
	outputs []output
	limit   int
	other   bool
}

// A field is where a value for grouping lies, and how it is named.
type field struct {
	name string
	path jq.Path
}

// A column is a path whose values are summarised, in one or several ways.
type column struct {
	path    jq.Path
	kinds   []*summary
	numbers bool // one of them takes numbers only
}

// An output is a value that is said of a group.
type output struct {
	name, function string // no function: how many records the group has
	path           jq.Path
	fold           int // among the group's; without function -1
}

func (s *Spec) plan() (p plan, err error) {
	p.other, p.limit = s.Other, s.Groups
	if p.limit == 0 {
		p.limit = usualGroups
	}
	if p.limit < 1 || p.limit > maxGroups {
		return p, fmt.Errorf("groups: %d: want 1 to %d", p.limit, maxGroups)
	}
	if p.by, err = s.fields(); err != nil {
		return p, err
	}
	if err := s.every(&p); err != nil {
		return p, err
	}
	return p, s.values(&p)
}

// fields are named by the last name of their path; where two would be the same, by all of it.
func (s *Spec) fields() (fields []field, err error) {
	if len(s.By) > maxBy {
		return nil, fmt.Errorf("by: %d paths: at most %d are taken", len(s.By), maxBy)
	}
	last := map[string]int{}
	for i, src := range s.By {
		p, err := jq.ParsePath(src)
		if err != nil {
			return nil, fmt.Errorf("by[%d]: %q: %w", i, src, err)
		}
		for j, f := range fields {
			if slices.Equal(f.path, p) {
				return nil, fmt.Errorf("by[%d]: %s: by[%d] is the same path: leave one out", i, src, j)
			}
		}
		f := field{"value", p}
		if len(p) > 0 {
			f.name = p[len(p)-1]
		}
		last[f.name]++
		fields = append(fields, f)
	}
	for i, f := range fields {
		if last[f.name] > 1 {
			fields[i].name = strings.Join(f.path, ".")
		}
	}
	return fields, nil
}

func (s *Spec) every(p *plan) (err error) {
	if s.Every == nil {
		return nil
	}
	if p.time, err = jq.ParsePath(s.Every.Time); err != nil {
		return fmt.Errorf("every.time: %q: %w", s.Every.Time, err)
	}
	span := time.Duration(s.Every.Duration)
	if span < time.Millisecond || span%time.Millisecond != 0 {
		return fmt.Errorf(`every.duration: %s: want whole milliseconds, at least 1ms, such as "5m"`, span)
	}
	p.span = span.Milliseconds()
	return nil
}

func (s *Spec) values(p *plan) error {
	if len(s.Values) == 0 || len(s.Values) > maxValues {
		return fmt.Errorf(`values: %d of them: want 1 to %d, such as {"n": "count", "mean": "mean(.celsius)"}`, len(s.Values), maxValues)
	}
	taken, err := s.taken(p.by)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(s.Values)) {
		if by, has := taken[name]; has {
			return fmt.Errorf("values.%s: %s has that name in what comes out: choose another", name, by)
		}
		o := output{name: name}
		if src := s.Values[name]; src != "count" {
			if o.function, o.path, err = call(src); err != nil {
				return fmt.Errorf("values.%s: %q: %w", name, src, err)
			}
			p.column(o.path).add(summaryOf(o.function))
		}
		p.outputs = append(p.outputs, o)
	}
	for i := range p.outputs {
		p.outputs[i].fold = p.fold(p.outputs[i])
	}
	return nil
}

// taken is what has which name in what comes out, without the values.
func (s *Spec) taken(fields []field) (map[string]string, error) {
	taken := map[string]string{}
	if s.Every != nil {
		taken[timeName] = "every"
	}
	if s.Other {
		taken[otherName] = "other"
	}
	for i, f := range fields {
		if had, has := taken[f.name]; has {
			return nil, fmt.Errorf("by[%d]: %s has the name %s in what comes out: let jq give the field another one", i, had, f.name)
		}
		taken[f.name] = fmt.Sprintf("by[%d]", i)
	}
	return taken, nil
}

// call reads "mean(.celsius)".
func call(src string) (function string, path jq.Path, err error) {
	function, rest, open := strings.Cut(src, "(")
	inner, closed := strings.CutSuffix(rest, ")")
	if summaryOf(function) == nil {
		names := []string{"p50", "p95", "p99"}
		for _, s := range summaries {
			names = append(names, s.functions...)
		}
		return "", nil, fmt.Errorf("no function %q: want count, sum, mean, min, max, stddev, first, last, distinct, or p1 to p99%s", function, executor.DidYouMean(function, names))
	}
	if !open || !closed {
		return "", nil, fmt.Errorf("want a path in brackets, such as %s(.celsius)", function)
	}
	path, err = jq.ParsePath(inner)
	return function, path, err
}

// summaryOf is the summary that answers a function; nil where none does.
func summaryOf(function string) *summary {
	for i := range summaries {
		s := &summaries[i]
		if slices.Contains(s.functions, function) || s.functions == nil && percentile(function) > 0 {
			return s
		}
	}
	return nil
}

// column is the one of a path.
func (p *plan) column(path jq.Path) *column {
	i := slices.IndexFunc(p.columns, func(c column) bool { return slices.Equal(c.path, path) })
	if i < 0 {
		i = len(p.columns)
		p.columns = append(p.columns, column{path: path})
	}
	return &p.columns[i]
}

func (c *column) add(s *summary) {
	if !slices.Contains(c.kinds, s) {
		c.kinds = append(c.kinds, s)
		c.numbers = c.numbers || s.numbers
	}
}

// fold is the place of an output's fold among those of a group.
func (p *plan) fold(o output) (at int) {
	for _, c := range p.columns {
		if o.function != "" && slices.Equal(c.path, o.path) {
			return at + slices.Index(c.kinds, summaryOf(o.function))
		}
		at += len(c.kinds)
	}
	return -1
}
