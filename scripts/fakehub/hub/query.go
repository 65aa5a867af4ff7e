package hub

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// A query is the part of the language [query] that fleets of jobs are counted
// with: SELECT * or SELECT COUNT() AS name, FROM devices, and conditions on
// paths that AND joins: =, !=, and IS_DEFINED(path).
type query struct {
	count string // the name of the count; empty: whole twins
	where condition
}

// A condition is of comparisons that all have to hold.
type condition []comparison

type comparison struct {
	path    []string
	defined bool // is all that is asked
	not     bool
	value   string // as JSON
}

var (
	selects  = regexp.MustCompile(`(?i)^\s*SELECT\s+(?:\*|COUNT\(\)\s+AS\s+(\w+))\s+FROM\s+devices(?:\s+WHERE\s+(.+?))?\s*;?\s*$`)
	ands     = regexp.MustCompile(`(?i)\s+AND\s+`)
	compares = regexp.MustCompile(`^\s*([\w.@-]+)\s*(=|!=|<>)\s*('[^']*'|-?[\d.]+|true|false)\s*$`)
	isThere  = regexp.MustCompile(`(?i)^\s*IS_DEFINED\(\s*([\w.@-]+)\s*\)\s*$`)
)

func parseQuery(text string) (query, error) {
	m := selects.FindStringSubmatch(text)
	if m == nil {
		return query{}, fmt.Errorf("400: the query %q is not understood", text)
	}
	where, err := parseCondition(m[2])
	return query{m[1], where}, err
}

// parseCondition reads what stands behind WHERE; empty and "*" are always true.
func parseCondition(text string) (condition, error) {
	var c condition
	if text = strings.TrimSpace(text); text == "" || text == "*" {
		return nil, nil
	}
	for _, part := range ands.Split(text, -1) {
		if m := isThere.FindStringSubmatch(part); m != nil {
			c = append(c, comparison{path: strings.Split(m[1], "."), defined: true})
			continue
		}
		m := compares.FindStringSubmatch(part)
		if m == nil {
			return nil, fmt.Errorf("400: the condition %q is not understood", part)
		}
		value := m[3]
		if s, ok := strings.CutPrefix(value, "'"); ok {
			value = quoted(strings.TrimSuffix(s, "'"))
		}
		c = append(c, comparison{path: strings.Split(m[1], "."), not: m[2] != "=", value: value})
	}
	return c, nil
}

func quoted(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // of a string
	}
	return string(text)
}

// holds reports whether a device's twin is what the condition wants.
func (c condition) holds(twin map[string]any) bool {
	for _, one := range c {
		v, ok := at(twin, one.path)
		text := ""
		if ok {
			raw, err := json.Marshal(v)
			if err != nil {
				panic(err) // of what was read from JSON
			}
			text = string(raw)
		}
		switch {
		case one.defined && !ok, !one.defined && (text == one.value) == one.not:
			return false
		}
	}
	return true
}

func at(v any, path []string) (any, bool) {
	for _, name := range path {
		o, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = o[name]; !ok {
			return nil, false
		}
	}
	return v, true
}

// document is a twin as queries and services see it.
func (d *device) document(connected bool) map[string]any {
	state := "Disconnected"
	if connected {
		state = "Connected"
	}
	return map[string]any{"deviceId": d.id, "connectionState": state, "tags": d.twin.Tags, "properties": map[string]any{
		"desired":  section(d.twin.Desired, d.twin.DesiredVersion),
		"reported": section(d.twin.Reported, d.twin.ReportedVersion),
	}}
}

// Query answers with one object for each device, or with the one count.
func (h *Hub) Query(text string) ([]map[string]any, error) {
	q, err := parseQuery(text)
	if err != nil {
		return nil, err
	}
	list := h.matching(q.where)
	if q.count != "" {
		return []map[string]any{{q.count: len(list)}}, nil
	}
	return list, nil
}

// matching are the documents of the devices for which a condition holds, by id.
func (h *Hub) matching(where condition) []map[string]any {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := []map[string]any{}
	for _, id := range slices.Sorted(maps.Keys(h.devices)) {
		if doc := h.devices[id].document(h.Client(id) != nil); where.holds(doc) {
			list = append(list, doc)
		}
	}
	return list
}

// Count is the one number that a query for a count answers with.
func (h *Hub) Count(text string) (int, error) {
	list, err := h.Query(text)
	if err != nil || len(list) != 1 {
		return 0, fmt.Errorf("counting: %w", err)
	}
	for _, v := range list[0] {
		if n, ok := v.(int); ok {
			return n, nil
		}
	}
	return 0, fmt.Errorf("400: %q is no count", text)
}
