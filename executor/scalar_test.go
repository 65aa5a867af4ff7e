package executor

import (
	"encoding/json"
	"testing"
	"time"
)

func TestDurationsAreStringsAndNeverNegative(t *testing.T) {
	for doc, want := range map[string]time.Duration{
		`"90s"`: 90 * time.Second, `"1h30m"`: 90 * time.Minute, `"0s"`: 0, `"1.5s"`: 1500 * time.Millisecond,
	} {
		var got Duration
		if err := json.Unmarshal([]byte(doc), &got); err != nil || time.Duration(got) != want {
			t.Errorf("%s: got %v, %v, want %v", doc, time.Duration(got), err, want)
		}
	}
	for _, doc := range []string{`90`, `"90"`, `""`, `"-1s"`, `"5 s"`, `true`, `{}`, `[]`, `"9999999h"`, `null`} {
		var got Duration
		if err := json.Unmarshal([]byte(doc), &got); err == nil {
			t.Errorf("%s: got %v, want an error", doc, time.Duration(got))
		}
	}
}

func TestTimesAreUTCWithWholeSeconds(t *testing.T) {
	var got Time
	if err := json.Unmarshal([]byte(`"2026-02-28T23:59:59Z"`), &got); err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2026, 2, 28, 23, 59, 59, 0, time.UTC); !got.Equal(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if text, err := json.Marshal(got); err != nil || string(text) != `"2026-02-28T23:59:59Z"` {
		t.Errorf("got %s, %v, want what was read", text, err)
	}
	for _, doc := range []string{
		`"2026-02-29T00:00:00Z"`, `"2026-02-28T24:00:00Z"`, `"2026-02-28T23:59:60Z"`, `"2026-02-28T23:59:59.5Z"`, `"2026-02-28T23:59:59+01:00"`,
		`"2026-02-28T23:59:59"`, `"2026-02-28"`, `"2026-2-28T23:59:59Z"`, `"2026-02-28T23:59:59z"`, `1772323199`, `""`, `null`, `{}`,
	} {
		if err := json.Unmarshal([]byte(doc), &got); err == nil {
			t.Errorf("%s: got %v, want an error", doc, got)
		}
	}
}

func TestSizesAreDecimalOrBinary(t *testing.T) {
	for doc, want := range map[string]Size{
		`0`: 0, `65536`: 65536, `"65536"`: 65536, `"64kB"`: 64000, `"64MB"`: 64e6, `"1.5GB"`: 15e8, `"64KiB"`: 64 << 10,
		`"64 MiB"`: 64 << 20, `"2GiB"`: 2 << 30, `"12B"`: 12, `1e6`: 1e6,
	} {
		var got Size
		if err := json.Unmarshal([]byte(doc), &got); err != nil || got != want {
			t.Errorf("%s: got %d, %v, want %d", doc, got, err, want)
		}
	}
	for _, doc := range []string{
		`-1`, `"-1kB"`, `"64 bananas"`, `"MB"`, `""`, `"64mb"`, `"64K"`, `"NaN"`, `"Inf"`, `"1e30GB"`, `1e400`, `"9223372036854775808"`, `true`, `null`, `{}`, `[]`,
	} {
		var got Size
		if err := json.Unmarshal([]byte(doc), &got); err == nil {
			t.Errorf("%s: got %d, want an error", doc, got)
		}
	}
}
