package jobs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
)

// A shape is what a part of a report has to be [defender]. That a name other
// than the documented ones is refused is a guess, on the strict side.
type shape struct {
	short  string           // its other name
	check  func(any) bool   // of a value
	fields map[string]shape // of an object
	must   []string         // those of them that an object has to have
	each   *shape           // of a list
}

var versionForm = regexp.MustCompile(`^[0-9]+\.[0-9]+$`)

var (
	text   = shape{check: func(v any) bool { s, ok := v.(string); return ok && s != "" }}
	amount = shape{check: func(v any) bool { return whole(v, 0, 1<<62) }}
	port   = shape{check: func(v any) bool { return whole(v, 1, 1<<16-1) }}
	remote = shape{check: func(v any) bool { s, _ := v.(string); _, err := netip.ParseAddrPort(s); return err == nil }}

	ports = shape{fields: map[string]shape{"ports": listOf("pts", shape{must: []string{"port"}, fields: map[string]shape{
		"port": port.as("pt"), "interface": text.as("if")}}), "total": amount.as("t")}}
	traffic = shape{short: "ns", fields: map[string]shape{"bytes_in": amount.as("bi"), "bytes_out": amount.as("bo"),
		"packets_in": amount.as("pi"), "packets_out": amount.as("po")}}
	connection = shape{fields: map[string]shape{"remote_addr": remote.as("rad"), "local_port": port.as("lp"), "local_interface": text.as("li")},
		must: []string{"remote_addr"}}
	established = shape{short: "ec", fields: map[string]shape{"connections": listOf("cs", connection), "total": amount.as("t")}}

	report = shape{must: []string{"header"}, fields: map[string]shape{
		"header": {short: "hed", must: []string{"report_id", "version"}, fields: map[string]shape{
			"report_id": amount.as("rid"), "version": {short: "v", check: func(v any) bool { s, _ := v.(string); return versionForm.MatchString(s) }}}},
		"metrics": {short: "met", fields: map[string]shape{"listening_tcp_ports": ports.as("tp"), "listening_udp_ports": ports.as("up"),
			"network_stats": traffic, "tcp_connections": {short: "tc", fields: map[string]shape{"established_connections": established}}}},
		"custom_metrics": {short: "cmet", check: customs},
	}}
)

func (s shape) as(short string) shape { s.short = short; return s }

func listOf(short string, each shape) shape { return shape{short: short, each: &each} }

func whole(v any, least, most int64) bool {
	n, _ := v.(json.Number)
	i, err := n.Int64()
	return err == nil && i >= least && i <= most
}

// readReport reads a report with long or short names.
func readReport(payload []byte) (r Report, err error) {
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil || d.More() {
		return r, errors.New("the report is not JSON")
	}
	long, err := report.long("the report", v)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(encode(long), &r); err != nil {
		return r, err
	}
	if len(r.Metrics)+len(r.Custom) == 0 {
		return r, errors.New("the report has no metrics")
	}
	return r, nil
}

// long is a value with its long names, if it has the shape.
func (s shape) long(name string, v any) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		if s.fields != nil {
			return s.longObject(name, v)
		}
	case []any:
		if s.each == nil {
			break
		}
		list := []any{}
		for _, one := range v {
			l, err := s.each.long(name, one)
			if err != nil {
				return nil, err
			}
			list = append(list, l)
		}
		return list, nil
	}
	if s.check == nil || !s.check(v) {
		return nil, fmt.Errorf("%s has a bad value", name)
	}
	return v, nil
}

func (s shape) longObject(name string, object map[string]any) (any, error) {
	result := map[string]any{}
	for key, v := range object {
		full, field := key, s.fields[key]
		for long, f := range s.fields {
			if f.short == key {
				full, field = long, f
			}
		}
		if _, known := s.fields[full]; !known || result[full] != nil {
			return nil, fmt.Errorf("%s has a field %q, unknown or twice", name, key)
		}
		l, err := field.long(full, v)
		if err != nil {
			return nil, err
		}
		result[full] = l
	}
	if i := slices.IndexFunc(s.must, func(m string) bool { return result[m] == nil }); i >= 0 {
		return nil, fmt.Errorf("%s has no %s", name, s.must[i])
	}
	return result, nil
}

// customs reports whether the value is of custom metrics: by name a list of one
// object, with one number or one list of a kind.
func customs(v any) bool {
	metrics, ok := v.(map[string]any)
	for name, list := range metrics {
		values, _ := list.([]any)
		if !keyForm.MatchString(name) || len(values) != 1 {
			return false
		}
		value, _ := values[0].(map[string]any)
		if len(value) != 1 {
			return false
		}
		for kind, v := range value {
			if !customValue(kind, v) {
				return false
			}
		}
	}
	return ok
}

func customValue(kind string, v any) bool {
	number := func(v any) bool { _, ok := v.(json.Number); return ok }
	ip := func(v any) bool { s, _ := v.(string); _, err := netip.ParseAddr(s); return err == nil }
	list, isList := v.([]any)
	all := func(is func(any) bool) bool {
		return isList && !slices.ContainsFunc(list, func(v any) bool { return !is(v) })
	}
	switch kind {
	case "number":
		return number(v)
	case "number_list":
		return all(number)
	case "string_list":
		return all(text.check)
	case "ip_list":
		return all(ip)
	}
	return false
}
