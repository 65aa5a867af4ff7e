package diagnostic

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor/step/check"
)

// What is hidden later is hidden only where it is whole: so nothing is cut in
// the middle of a word.
func TestAReasonIsNotCutWithinAWord(t *testing.T) {
	const secret = "hunter2hunter2hunter2"
	for before := range 600 {
		r := check.Result{Name: "c", Reason: "exit status 1: " + strings.Repeat("x ", before/2) + secret + " tail"}
		for _, most := range []int{512, 256, 128, 64, 32, 0} {
			out := encodeWithin([]check.Result{r}, most, 64)
			if got := strings.ReplaceAll(string(out), secret, ""); strings.Contains(got, "hunt") || !json.Valid(out) {
				t.Fatalf("of %d bytes at most %d: %s", len(r.Reason), most, out)
			}
		}
	}
}
