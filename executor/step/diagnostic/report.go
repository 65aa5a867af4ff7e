package diagnostic

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/redact"
	"github.com/ratchetd/ratchet/executor/step/check"
)

// encode writes the results as one object that fits into a report: reasons are
// cut where it does not, and names last. The least that is left always fits.
func encode(results []check.Result) json.RawMessage {
	for _, most := range []struct{ reason, name int }{
		{512, 64}, {256, 64}, {128, 64}, {64, 64}, {32, 64}, {0, 64}, {0, 24},
	} {
		if out := encodeWithin(results, most.reason, most.name); len(out) <= executor.MaxOutput {
			return out
		}
	}
	return encodeWithin(results, 0, 8)
}

func encodeWithin(results []check.Result, reason, name int) json.RawMessage {
	short := make([]check.Result, len(results))
	for i, r := range results {
		r.Reason, r.Name = redact.ClipWord(r.Reason, reason), redact.Clip(r.Name, name)
		short[i] = r
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(map[string][]check.Result{"checks": short}); err != nil {
		panic(err) // numbers that JSON cannot hold come from no probe
	}
	return bytes.TrimSpace(b.Bytes())
}

// table writes the results for people.
func table(w io.Writer, results []check.Result) {
	var names, figures int
	for _, r := range results {
		names = max(names, utf8.RuneCountInString(r.Name))
		figures = max(figures, utf8.RuneCountInString(r.Figure()))
	}
	for _, r := range results {
		reason := r.Reason
		if r.Repaired {
			reason = "repaired; " + reason
		}
		row := fmt.Sprintf("%-7s  %-*s  %*s  %s", r.State, names, r.Name, figures, r.Figure(), reason)
		fmt.Fprintln(w, strings.TrimRight(strings.Map(redact.Printable, row), " "))
	}
}

// verdict is the step's error: it fails when a check has failed.
func verdict(results []check.Result) error {
	var failed []string
	for _, r := range results {
		if r.State == check.Failed {
			failed = append(failed, r.Name+": "+r.Reason)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d checks failed: %s", len(failed), len(results), strings.Join(failed, "; "))
}
