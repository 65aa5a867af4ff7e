package jq

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/itchyny/gojq"
)

// sum is the operator +, which also joins texts, lists and objects.
func (m *meter) sum(l, r any) (any, error) {
	if l == nil {
		return r, nil
	}
	if r == nil {
		return l, nil
	}
	switch x := l.(type) {
	case string:
		if y, ok := r.(string); ok {
			if err := m.room(len(x) + len(y)); err != nil {
				return nil, err
			}
			return x + y, nil
		}
	case []any:
		if y, ok := r.([]any); ok {
			if err := m.room(unitNode * (len(x) + len(y))); err != nil {
				return nil, err
			}
			sum := slices.Concat(x, y)
			return sum, m.fits(sum)
		}
	case map[string]any:
		if y, ok := r.(map[string]any); ok {
			return m.merge(x, y)
		}
	}
	return plus.of(l, r)
}

func (m *meter) merge(x, y map[string]any) (any, error) {
	if err := m.room(4 * unitNode * (len(x) + len(y))); err != nil {
		return nil, err
	}
	sum := maps.Clone(x)
	maps.Copy(sum, y)
	return sum, m.fits(sum)
}

// room charges for a value that is about to be built.
func (m *meter) room(units int) error {
	if units > maxValue {
		return errTooBig
	}
	return m.charge(units)
}

func (m *meter) contains(l, r any) (any, error) {
	if gojq.TypeOf(l) != gojq.TypeOf(r) {
		return nil, fmt.Errorf("cannot tell whether %s contains %s", described(l), described(r))
	}
	return m.holds(l, r)
}

// holds is contains at any depth; it compares every element of one list with
// every one of the other.
func (m *meter) holds(l, r any) (bool, error) {
	if err := m.charge(unitNode); err != nil {
		return false, err
	}
	switch r := r.(type) {
	case string:
		l, ok := l.(string)
		if !ok {
			return false, nil
		}
		return strings.Contains(l, r), m.charge(len(l))
	case []any:
		return m.holdsAll(l, r)
	case map[string]any:
		object, ok := l.(map[string]any)
		for k, e := range r {
			if own, has := object[k]; !has || !ok {
				return false, nil
			} else if ok, err := m.holds(own, e); !ok || err != nil {
				return false, err
			}
		}
		return ok, nil
	}
	return gojq.Compare(l, r) == 0, nil
}

func (m *meter) holdsAll(l any, r []any) (bool, error) {
	list, ok := l.([]any)
	if !ok {
		return false, nil
	}
	for _, want := range r {
		var err error
		if !slices.ContainsFunc(list, func(e any) bool {
			var ok bool
			ok, err = m.holds(e, want)
			return ok || err != nil
		}) || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (m *meter) split(v, separator any) (any, error) {
	text, ok := v.(string)
	sep, okay := separator.(string)
	if !ok || !okay {
		return nil, fmt.Errorf("cannot split %s by %s", described(v), described(separator))
	}
	if text == "" {
		return []any{}, nil
	}
	if err := m.room(2 * unitNode * (strings.Count(text, sep) + 1)); err != nil {
		return nil, err
	}
	var out []any
	for part := range strings.SplitSeq(text, sep) {
		out = append(out, part)
	}
	return out, nil
}

func (m *meter) join(v, separator any) (any, error) {
	list, ok := v.([]any)
	sep, okay := separator.(string)
	if !ok || !okay {
		return nil, fmt.Errorf("cannot join %s with %s", described(v), described(separator))
	}
	parts, size := make([]string, len(list)), 0
	for i, e := range list {
		switch e := e.(type) {
		case nil:
		case string:
			parts[i] = e
		case []any, map[string]any:
			return nil, fmt.Errorf("cannot join: %s is no text", described(e))
		default:
			text, err := gojq.Marshal(e)
			if err != nil {
				return nil, err
			}
			parts[i] = string(text)
		}
		size += unitNode + len(parts[i]) + len(sep)
	}
	if err := m.room(size); err != nil {
		return nil, err
	}
	return strings.Join(parts, sep), nil
}
