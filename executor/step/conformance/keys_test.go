package conformance_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// keysCases are what the suite cuts of the kind keys.
func keysCases(t *testing.T) []steptest.Case {
	var dir string
	one, _ := steptest.NewSigningKey(t)
	kind := func(f safefile.Files) executor.Kind {
		return steptest.Late{Kind: func() executor.Kind { return step.Keys{Files: f, Path: filepath.Join(dir, "keys.json")} }}
	}
	with := func(d string) string {
		dir = d
		return fmt.Sprintf(`{"set":[%q],"sequence":7}`, one)
	}
	return []steptest.Case{
		{Name: "keys, the first set", Kind: kind, With: with},
		{Name: "keys, another set", Kind: kind, Setup: steptest.Old("keys.json"), With: with},
	}
}
