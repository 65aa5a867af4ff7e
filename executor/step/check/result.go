package check

import "strconv"

// How a check can end.
const (
	OK      = "ok"
	Failed  = "failed"
	Unknown = "unknown" // what it needs is not there
	Skipped = "skipped" // it depends on one that failed
)

// A Result is how one check went.
type Result struct {
	Name     string   `json:"name"`
	Kind     string   `json:"kind"`
	State    string   `json:"state"`
	Value    *float64 `json:"value,omitempty"`
	Unit     string   `json:"unit,omitempty"`
	Reason   string   `json:"reason,omitempty"` // when it is ok, what was found
	Repaired bool     `json:"repaired,omitempty"`

	// Cause is the check that failed for all that depends on this one.
	Cause string `json:"-"`
}

// figure is a value with its unit, for people.
func figure(value *float64, unit string) string {
	if value == nil {
		return ""
	}
	text := strconv.FormatFloat(*value, 'f', -1, 64)
	if len(unit) > 1 && unit != "°C" {
		text += " "
	}
	return text + unit
}

// Figure is the value with its unit, for people.
func (r Result) Figure() string { return figure(r.Value, r.Unit) }
