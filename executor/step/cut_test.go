package step

import (
	"encoding/json"
	"strings"
	"testing"
)

// What is hidden later is hidden only where it is whole: so nothing is cut in
// the middle of a word.
func TestNoWordIsToldInPart(t *testing.T) {
	const secret = "hunter2hunter2hunter2"
	for _, long := range []string{"", " " + strings.Repeat("y", 240), strings.Repeat("y", 250), strings.Repeat("y", 600)} {
		said := tail{most: 256}
		for _, part := range []string{"earlier\nbegins ", secret, long} {
			said.Write([]byte(part))
		}
		if got := said.lastLine(); strings.Contains(strings.ReplaceAll(got, secret, ""), "er2") {
			t.Errorf("the last line is %q", got)
		}
	}
	for before := range 600 {
		r := Result{Name: "c", Reason: "exit status 1: " + strings.Repeat("x ", before/2) + secret + " tail"}
		for _, most := range []int{512, 256, 128, 64, 32, 0} {
			out := encodeWithin([]Result{r}, most, 64)
			if got := strings.ReplaceAll(string(out), secret, ""); strings.Contains(got, "hunt") || !json.Valid(out) {
				t.Fatalf("of %d bytes at most %d: %s", len(r.Reason), most, out)
			}
		}
	}
}
