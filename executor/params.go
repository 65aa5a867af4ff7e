package executor

import (
	"encoding/json"
	"fmt"
)

// Params are a step's parameters, read without its kind's rules.
type Params map[string]any

// ReadParams reads the parameters of a step; what cannot be read is empty.
func ReadParams(with json.RawMessage) Params {
	var p Params
	if json.Unmarshal(with, &p) != nil {
		return Params{}
	}
	return p
}

// Text is a parameter as people would say it; what the device fills in is named.
func (p Params) Text(name string) string { return spoken(p[name]) }

func spoken(v any) string {
	switch v := v.(type) {
	case nil:
		return "(not given)"
	case string:
		return v
	case map[string]any:
		for _, source := range []string{"jq", "secret"} {
			if s, ok := v[source].(string); ok {
				return fmt.Sprintf("(%s: %s)", source, s)
			}
		}
	}
	return fmt.Sprint(v)
}

// List are the words of a parameter, as people would say them.
func (p Params) List(name string) []string {
	values, _ := p[name].([]any)
	var out []string
	for _, v := range values {
		out = append(out, spoken(v))
	}
	return out
}

// Either is the first of the parameters that is given.
func (p Params) Either(names ...string) string {
	for _, name := range names {
		if p[name] != nil {
			return p.Text(name)
		}
	}
	return spoken(nil)
}
