package executor

import (
	"fmt"
	"slices"
	"strings"
)

// DidYouMean is the end of an error about a name that means nothing: the known one
// that is most like it, or nothing where none is.
func DidYouMean(name string, known []string) string {
	if like := nearest(name, known); like != "" {
		return fmt.Sprintf("; did you mean %q?", like)
	}
	return ""
}

// nearest is the one of names that is written most like name, or empty: at most a
// third of its letters may differ.
func nearest(name string, names []string) string {
	best, least := "", max(1, len(name)/3)+1
	for _, n := range slices.Sorted(slices.Values(names)) {
		if d := distance(strings.ToLower(name), strings.ToLower(n)); d < least {
			best, least = n, d
		}
	}
	return best
}

// distance is how many bytes must be put in, taken out or changed, or neighbours
// exchanged, to make b of a.
func distance(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		older := before
		before, row = row, make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			change := before[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(change, before[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], older[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
