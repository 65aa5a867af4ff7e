package process

import (
	"strings"
	"testing"
)

// What is hidden later is hidden only where it is whole: so nothing is cut in
// the middle of a word.
func TestTheLastLineTellsNoWordInPart(t *testing.T) {
	const secret = "hunter2hunter2hunter2"
	for _, long := range []string{"", " " + strings.Repeat("y", 240), strings.Repeat("y", 250), strings.Repeat("y", 600)} {
		said := Tail{Most: 256}
		for _, part := range []string{"earlier\nbegins ", secret, long} {
			said.Write([]byte(part))
		}
		if got := said.LastLine(); strings.Contains(strings.ReplaceAll(got, secret, ""), "er2") {
			t.Errorf("the last line is %q", got)
		}
	}
}
