package main

import (
	"strings"
	"testing"
)

// What a device's owner trusts only the device knows: validate takes the step
// with a signature and without one, and refuses only what is none.
func TestValidateTakesSignedFirmwareAndUpdates(t *testing.T) {
	sum := strings.Repeat("a", 64)
	for _, kind := range []string{"firmware", "update"} {
		for more, want := range map[string]string{
			``:                                       "",
			`,"signature":"https://x/image.minisig"`: "",
			`,"signature":"untrusted comment: x\nRUQ\nx\ny"`: "",
			`,"signature":"yes"`:                             "want the text of a minisign signature",
		} {
			text := `{"id":"x","steps":[{"name":"a","` + kind + `":{"url":"https://x/i","sha256":"` + sum + `","version":"2.0"` + more + `}}]}`
			found := findProblems([]byte(text))
			if want == "" && len(found) > 0 || want != "" && (len(found) != 1 || !strings.Contains(found[0].Error(), want)) {
				t.Errorf("%s%s: got %v, want %q", kind, more, found, want)
			}
		}
	}
}
