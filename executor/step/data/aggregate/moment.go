package aggregate

import (
	"math"
	"time"

	"github.com/ratchetd/ratchet/executor/jq"
)

const (
	// someMillis is from where on a number is Unix milliseconds: as seconds it would
	// be the year 5138, as milliseconds it is 1973.
	someMillis = 1e11
	maxMillis  = 253_402_300_800_000 // the year 10000
)

// moment reads a time, RFC 3339 or Unix seconds or milliseconds, as milliseconds.
func moment(v any, texts bool) (millis int64, ok bool) {
	if text, isText := v.(string); isText {
		if t, err := time.Parse(time.RFC3339, text); err == nil {
			return t.UnixMilli(), true
		}
		if !texts {
			return 0, false
		}
		if v, ok = jq.Number(text); !ok {
			return 0, false
		}
	}
	n, ok := numbered(v)
	switch size := math.Abs(n.float); {
	case !ok || size >= maxMillis:
		return 0, false
	case size >= someMillis && n.exact:
		return n.whole, true
	case size >= someMillis:
		return int64(math.Floor(n.float)), true
	case n.exact:
		return n.whole * 1000, true
	}
	return int64(math.Floor(math.Round(n.float*1e6) / 1e3)), true // 1.3 s is 1300 ms, though no float is 1.3
}

// begin is where the span begins in which millis lies. Spans are counted from 1970 in
// UTC, so that those of a day begin at midnight.
func begin(millis, span int64) int64 {
	off := millis % span
	if off < 0 {
		off += span
	}
	return millis - off
}

func clockTime(millis int64) string {
	return time.UnixMilli(millis).UTC().Format("2006-01-02T15:04:05.999Z")
}

// A bucket is the span of time of a group.
type bucket struct {
	begin int64 // in Unix milliseconds
	known bool
}

func (b bucket) value() any {
	if !b.known {
		return nil
	}
	return clockTime(b.begin)
}

// compare orders buckets by time, one that is not known first.
func (b bucket) compare(c bucket) int {
	switch {
	case b == c:
		return 0
	case !b.known || c.known && b.begin < c.begin:
		return -1
	}
	return 1
}
