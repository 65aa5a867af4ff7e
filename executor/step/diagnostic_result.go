package step

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/ratchetd/ratchet/executor"
)

// How a check can end.
const (
	CheckOK      = "ok"
	CheckFailed  = "failed"
	CheckUnknown = "unknown" // what it needs is not there
	CheckSkipped = "skipped" // it depends on one that failed
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

	cause string // the check that failed for all that depends on this one
}

// encode writes the results as one object that fits into a report: reasons are
// cut where it does not, and names last. The least that is left always fits.
func encode(results []Result) json.RawMessage {
	for _, most := range []struct{ reason, name int }{
		{512, 64}, {256, 64}, {128, 64}, {64, 64}, {32, 64}, {0, 64}, {0, 24},
	} {
		if out := encodeWithin(results, most.reason, most.name); len(out) <= executor.MaxOutput {
			return out
		}
	}
	return encodeWithin(results, 0, 8)
}

func encodeWithin(results []Result, reason, name int) json.RawMessage {
	short := make([]Result, len(results))
	for i, r := range results {
		r.Reason, r.Name = clipWord(r.Reason, reason), clip(r.Name, name)
		short[i] = r
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(map[string][]Result{"checks": short}); err != nil {
		panic(err) // numbers that JSON cannot hold come from no probe
	}
	return bytes.TrimSpace(b.Bytes())
}

// table writes the results for people.
func table(w io.Writer, results []Result) {
	var names, figures int
	for _, r := range results {
		names = max(names, utf8.RuneCountInString(r.Name))
		figures = max(figures, utf8.RuneCountInString(figure(r.Value, r.Unit)))
	}
	for _, r := range results {
		reason := r.Reason
		if r.Repaired {
			reason = "repaired; " + reason
		}
		row := fmt.Sprintf("%-7s  %-*s  %*s  %s", r.State, names, r.Name, figures, figure(r.Value, r.Unit), reason)
		fmt.Fprintln(w, strings.TrimRight(strings.Map(printable, row), " "))
	}
}

// verdict is the step's error: it fails when a check has failed.
func verdict(results []Result) error {
	var failed []string
	for _, r := range results {
		if r.State == CheckFailed {
			failed = append(failed, r.Name+": "+r.Reason)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d checks failed: %s", len(failed), len(results), strings.Join(failed, "; "))
}
