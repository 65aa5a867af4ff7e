package conformance_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestReadmeHoldsTheMatrix keeps the README's summary of the matrix that the
// conformance suite writes; -update writes it again.
func TestReadmeHoldsTheMatrix(t *testing.T) {
	const readme, begin, end = "../../../README.md", "<!-- matrix -->\n", "<!-- /matrix -->"
	rows, err := os.ReadFile("testdata/matrix.txt")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	had, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("the README has no place for the matrix")
	}
	want := summary(string(rows))
	if had == want {
		return
	}
	if update := flag.Lookup("update"); update == nil || update.Value.String() != "true" {
		t.Fatalf("the README's matrix is not that of the suite: run go test ./executor/step/conformance -run Readme -update\ngot:\n%swant:\n%s", had, want)
	}
	if err := os.WriteFile(readme, []byte(before+begin+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// summary counts the cut points of each kind by what came of them.
func summary(matrix string) string {
	points := map[string]int{}
	for row := range strings.Lines(matrix) {
		cell := strings.Split(strings.TrimSpace(row), "|")
		kind, _, _ := strings.Cut(strings.ReplaceAll(cell[0], ",", " "), " ")
		points[fmt.Sprintf("`%s` | %s | %s |", kind, strings.TrimSpace(cell[2]), strings.TrimSpace(cell[3]))]++
	}
	table := "| cut points tried | kind | then | and at any of them |\n|---:|---|---|---|\n"
	for _, row := range slices.Sorted(maps.Keys(points)) {
		table += fmt.Sprintf("| %d | %s\n", points[row], row)
	}
	return table
}
