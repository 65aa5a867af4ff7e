package executor

import (
	"encoding/json"
	"slices"
	"strings"
)

// masked is what stands where a secret was.
const masked = "********"

// minSecret is the shortest text that is masked: a shorter one would hide half
// of every output, and guard nothing.
const minSecret = 4

// Mask hides secrets in what leaves the device, line by line for those that
// have several.
func Mask(text string, secrets []string) string {
	for _, s := range lines(secrets) {
		text = strings.ReplaceAll(text, s, masked)
	}
	return text
}

// lines are the secrets and each of their lines, longest first.
func lines(secrets []string) []string {
	var all []string
	for _, s := range secrets {
		all = append(all, s)
		all = append(all, strings.Fields(s)...)
		if escaped, err := json.Marshal(s); err == nil { // as it stands in a result
			all = append(all, string(escaped[1:len(escaped)-1]))
		}
	}
	all = slices.DeleteFunc(all, func(s string) bool { return len(s) < minSecret })
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(all)
}

// hidden is an error whose text may hold secrets.
type hidden struct {
	error
	secrets []string
}

func (h hidden) Error() string { return Mask(h.error.Error(), h.secrets) }
func (h hidden) Unwrap() error { return h.error }
