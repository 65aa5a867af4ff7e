package conformance_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/diagnostic"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// diagnosticCases are the uses of the kind that leave something behind.
func diagnosticCases(t *testing.T) []steptest.Case {
	from := t.TempDir()
	steptest.WriteFile(t, filepath.Join(from, "a"), strings.Repeat("line\n", 1000))
	steptest.WriteFile(t, filepath.Join(from, "b"), "short")
	long := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, name := range []string{"a", "b"} {
		if err := os.Chtimes(filepath.Join(from, name), long, long); err != nil {
			t.Fatal(err)
		}
	}
	kind := func(f safefile.Files) executor.Kind { return diagnostic.Kind{Files: f} }
	collect := func(name string) func(string) string {
		return func(dir string) string {
			return fmt.Sprintf(`{"checks":[{"file":"/"}],"collect":{"to":%q,"files":["%s/*"]}}`, filepath.Join(dir, name), from)
		}
	}
	return []steptest.Case{
		{Name: "diagnostic, bundle", Kind: kind, With: collect("bundle")},
		{Name: "diagnostic, in a new folder", Kind: kind, With: collect("new/bundle")},
		{Name: "diagnostic, repair", Kind: kind, With: func(dir string) string {
			return fmt.Sprintf(`{"checks":[{"file":"%[1]s/flag","repair":["touch","%[1]s/flag"]}]}`, dir)
		}},
	}
}
