package hub

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A query is the part of the language [query] that fleets of jobs are counted
// and listed with: SELECT *, COUNT() AS name or columns, FROM devices, WHERE.
type query struct {
	columns []column // empty: whole twins
	count   string   // the name of the count; empty: none
	where   condition
}

// A column is a part of a twin under a name. Without AS it is that of the
// last part of the path; the documentation does not say so of nested ones.
type column struct {
	path []string
	name string
}

func parseQuery(text string) (query, error) {
	p := &parser{words: words(text)}
	var q query
	p.want("SELECT")
	switch {
	case p.take("*"):
	case p.is("COUNT"):
		p.next()
		p.want("(")
		p.want(")")
		p.want("AS")
		q.count = p.next()
	default:
		for more := true; more && p.err == nil; more = p.take(",") {
			q.columns = append(q.columns, p.column())
		}
	}
	p.want("FROM")
	p.want("devices")
	if p.take("WHERE") {
		q.where = p.either()
	}
	p.take(";")
	return q, p.end(text)
}

func (p *parser) column() column {
	c := column{path: p.path()}
	c.name = c.path[len(c.path)-1]
	if p.take("AS") {
		c.name = p.next()
	}
	return c
}

// parseCondition reads what stands behind WHERE; empty and "*" are always true.
func parseCondition(text string) (condition, error) {
	if text = strings.TrimSpace(text); text == "" || text == "*" {
		return nil, nil
	}
	p := &parser{words: words(text)}
	c := p.either()
	return c, p.end(text)
}

// document is a twin as queries and services see it.
func (d *device) document(connected bool) map[string]any {
	return map[string]any{"deviceId": d.id, "etag": d.twin.etag(), "deviceEtag": d.etag(), "status": d.status(), "connectionState": stateOf(connected),
		"cloudToDeviceMessageCount": len(d.bound), "authenticationType": d.authentication(), "version": d.twin.DesiredVersion + d.twin.ReportedVersion,
		"tags": d.twin.Tags, "properties": map[string]any{
			"desired":  section(d.twin.Desired, d.twin.DesiredVersion),
			"reported": section(d.twin.Reported, d.twin.ReportedVersion),
		}}
}

func stateOf(connected bool) string {
	if connected {
		return "Connected"
	}
	return "Disconnected"
}

// Query answers with one object for each device, or with the one count.
func (h *Hub) Query(text string) ([]map[string]any, error) {
	q, err := parseQuery(text)
	if err != nil {
		return nil, err
	}
	list := h.matching(q.where)
	switch {
	case q.count != "":
		return []map[string]any{{q.count: len(list)}}, nil
	case len(q.columns) == 0:
		return list, nil
	}
	rows := []map[string]any{}
	for _, twin := range list {
		row := map[string]any{}
		for _, c := range q.columns {
			if v, ok := at(twin, c.path); ok {
				row[c.name] = v
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// matching are the documents of the devices for which a condition holds, by id.
func (h *Hub) matching(where condition) []map[string]any {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := []map[string]any{}
	for _, id := range slices.Sorted(maps.Keys(h.devices)) {
		if doc := h.devices[id].document(h.Client(id) != nil); holds(where, doc) {
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
	return 0, refuse(400, "ArgumentInvalid", "%q is no count", text)
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

// plain is a value as JSON has it, with its numbers as float64.
func plain(v any) any {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // of what was read from JSON
	}
	var p any
	_ = json.Unmarshal(raw, &p) // what was just made
	return p
}
