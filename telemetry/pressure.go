package telemetry

import (
	"fmt"
	"strconv"
	"strings"
)

// Pressure is the percent of the last minute in which some task was held up
// for want of a resource (PSI): it distinguishes a board that is too slow from one
// that is merely busy.
type Pressure struct {
	CPU    float64 `json:"cpu"`
	Memory float64 `json:"memory"`
	IO     float64 `json:"io"`
}

// samplePressure gives none where the kernel was built without it, as most are.
func samplePressure(t tree) (*Pressure, error) {
	if !exists(t.proc, "pressure/cpu") {
		return nil, nil
	}
	var p Pressure
	for name, to := range map[string]*float64{"cpu": &p.CPU, "memory": &p.Memory, "io": &p.IO} {
		text, err := line(t.proc, "pressure", name)
		if err == nil {
			*to, err = parsePressure(text)
		}
		if err == nil && !isPlausible("pressure", *to) {
			err = fmt.Errorf("%v is no percent", *to)
		}
		if err != nil {
			return nil, fmt.Errorf("reading the pressure on %s: %w", name, err)
		}
	}
	return &p, nil
}

// parsePressure reads "some avg10=0.00 avg60=1.25 avg300=0.10 total=123".
func parsePressure(text string) (float64, error) {
	_, rest, _ := strings.Cut(text, "avg60=")
	value, _, _ := strings.Cut(rest, " ")
	return strconv.ParseFloat(value, 64)
}
