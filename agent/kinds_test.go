package agent

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor"
)

// A kind that forgot to describe itself would leave explain with its name only.
func TestEveryKindSaysWhatItDoes(t *testing.T) {
	for name, kind := range Kinds() {
		d, ok := kind.(executor.Describer)
		if !ok {
			t.Errorf("%s does not describe itself", name)
			continue
		}
		if got := d.Describe(executor.Step{Kind: name, With: json.RawMessage(`{}`)}); strings.TrimSpace(got.Does) == "" && name != "config" && name != "package" || got.Cut == "" {
			t.Errorf("%s: got %+v, want what it does and what a cut means", name, got)
		}
	}
}
