package conformance_test

import (
	"testing"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// packageCases are what the suite cuts of the kind package.
func packageCases(t *testing.T) []steptest.Case {
	var dir string
	kind := func(f safefile.Files) executor.Kind {
		return steptest.Late{Kind: func() executor.Kind {
			k := steptest.OnPackages(t, dir)
			k.Files = f
			return k
		}}
	}
	with := func(text string) func(string) string {
		return func(d string) string { dir = d; return text }
	}
	return []steptest.Case{
		{Name: "package", Kind: kind, Setup: steptest.Feed, With: with(`{"manager":"apk","install":["vim=9-r1"],"remove":["curl"]}`)},
		{Name: "package, nothing to do", Kind: kind, Setup: steptest.Feed, With: with(`{"manager":"opkg","install":["curl"],"remove":["vim"]}`)},
	}
}
