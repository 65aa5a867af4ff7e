package executor

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a time span, in JSON a string as time.ParseDuration reads it.
type Duration time.Duration

// UnmarshalJSON reads "1h30m". A negative span is an error.
func (d *Duration) UnmarshalJSON(data []byte) error {
	var s string
	if json.Unmarshal(data, &s) != nil {
		return fmt.Errorf("%s is no duration: want a string such as \"90s\"", data)
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		return fmt.Errorf("%q is no duration: want something such as \"90s\" or \"1h30m\"", s)
	}
	*d = Duration(v)
	return nil
}

// MarshalJSON writes what UnmarshalJSON reads.
func (d Duration) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(d).String())
}

// Time is a moment in UTC with whole seconds, in JSON "2026-11-23T09:00:00Z".
type Time struct{ time.Time }

const timeLayout = "2006-01-02T15:04:05Z"

// UnmarshalJSON reads RFC 3339 in UTC and whole seconds.
func (t *Time) UnmarshalJSON(data []byte) error {
	var s string
	if json.Unmarshal(data, &s) != nil {
		return fmt.Errorf("%s is no time: want a string such as \"2026-11-23T09:00:00Z\"", data)
	}
	v, err := time.Parse(timeLayout, s)
	if err != nil || v.Format(timeLayout) != s {
		return fmt.Errorf("%q is no time: want UTC and whole seconds, such as \"2026-11-23T09:00:00Z\"", s)
	}
	t.Time = v
	return nil
}

// MarshalJSON writes what UnmarshalJSON reads.
func (t Time) MarshalJSON() ([]byte, error) {
	return json.Marshal(t.UTC().Format(timeLayout))
}

// Size is a number of bytes: in JSON a number, or a string with kB, MB, GB
// (decimal) or KiB, MiB, GiB (binary).
type Size int64

var units = []struct {
	name  string
	bytes float64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}, {"", 1}}

// ParseSize reads "64MB" or "65536".
func ParseSize(s string) (Size, error) {
	for _, u := range units {
		number, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || f < 0 || f*u.bytes >= math.MaxInt64 || math.IsNaN(f) {
			break
		}
		return Size(f * u.bytes), nil
	}
	return 0, fmt.Errorf("%q is no size: want bytes, or a number with kB, MB, GB, KiB, MiB or GiB", s)
}

// UnmarshalJSON reads a number of bytes or a string for ParseSize.
func (z *Size) UnmarshalJSON(data []byte) error {
	var s string
	if json.Unmarshal(data, &s) != nil {
		s = string(data)
		if strings.ContainsAny(s, "{[tfn") {
			return errors.New("want a size: a number of bytes, or a string such as \"64MB\"")
		}
	}
	v, err := ParseSize(s)
	*z = v
	return err
}
