// Package conformance_test checks every kind of step against what all of them
// promise: the table of cuts, the owner's walls, links that are swapped. A new
// kind gets its file of cases here, and its line in the table.
package conformance_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

var rewrite = flag.Bool("update", false, "write testdata/matrix.txt again")

// TestEveryCutEndsInTheSamePlace is tier 3: every kind, cut and failed at
// every Save and every file operation.
func TestEveryCutEndsInTheSamePlace(t *testing.T) {
	t.Parallel() // with the tests that wait
	groups := [][]steptest.Case{cases(t), configCases(t), dataCases(t), diagnosticCases(t), serviceCases(t), settingsCases(),
		certificateCases(t), keysCases(t), packageCases(t), updateCases(t), firmwareCases()}
	found := make([][]string, len(groups))
	t.Run("kinds", func(t *testing.T) {
		for i, group := range groups {
			name, _, _ := strings.Cut(group[0].Name, ",")
			t.Run(name, func(t *testing.T) {
				t.Parallel() // what takes long is the disk; the cases of a group share a folder's name
				for _, c := range group {
					t.Run(c.Name, func(t *testing.T) { found[i] = append(found[i], steptest.Run(t, c)...) })
				}
			})
		}
	})
	if t.Failed() || testing.Short() {
		return
	}
	got := strings.Join(slices.Concat(found...), "\n") + "\n"
	const golden = "testdata/matrix.txt"
	if *rewrite {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the matrix changed: run the test with -update and see what git diff says of %s", golden)
	}
}

func cases(t *testing.T) []steptest.Case {
	url, sum := steptest.Serve(t, steptest.Pattern(200<<10))
	file := func(f safefile.Files) executor.Kind { return step.File{Files: f} }
	download := func(f safefile.Files) executor.Kind { return step.Download{Files: f} }
	fetch := func(dir, name string) string {
		return fmt.Sprintf(`{"url":%q,"sha256":%q,"to":%q,"mode":"0755"}`, url, sum, filepath.Join(dir, name))
	}
	with := func(format, name string) func(string) string {
		return func(dir string) string { return fmt.Sprintf(format, filepath.Join(dir, name)) }
	}
	return []steptest.Case{
		{Name: "file, new", Kind: file, With: with(`{"path":%q,"content":"new\n"}`, "f")},
		{Name: "file, new in a new folder", Kind: file, With: with(`{"path":%q,"content":"new\n"}`, "a/b/f")},
		{Name: "file, replaced", Kind: file, Setup: steptest.Old("f"), With: with(`{"path":%q,"base64":"bmV3","mode":"0640"}`, "f")},
		{Name: "file, on another disk", Kind: func(f safefile.Files) executor.Kind { return step.File{Files: noLinks(f)} },
			Setup: steptest.Old("f"), With: with(`{"path":%q,"content":"new\n"}`, "f")},
		{Name: "file, mode only", Kind: file, Setup: steptest.Old("f"), With: with(`{"path":%q,"content":"old\n","mode":"0755"}`, "f")},
		{Name: "file, through a link", Kind: file, Setup: linked, With: with(`{"path":%q,"content":"new\n"}`, "link")},
		{Name: "file, from another", Kind: file, Setup: steptest.Old("g"), With: func(dir string) string {
			return fmt.Sprintf(`{"path":%q,"from":%q}`, filepath.Join(dir, "f"), filepath.Join(dir, "g"))
		}},
		{Name: "file, absent", Kind: file, Setup: steptest.Old("f"), With: with(`{"path":%q,"absent":true}`, "f")},
		{Name: "file, absent link", Kind: file, Setup: linked, With: with(`{"path":%q,"absent":true}`, "link")},
		{Name: "file, nothing to do", Kind: file, Setup: steptest.Old("f"), With: with(`{"path":%q,"content":"old\n"}`, "f")},
		{Name: "download, new", Kind: download, With: func(dir string) string { return fetch(dir, "f") }},
		{Name: "download, checkpoints", Kind: func(f safefile.Files) executor.Kind { return step.Download{Files: f, Every: 100 << 10} },
			With: func(dir string) string { return fetch(dir, "f") }},
		{Name: "download, replaces", Kind: download, Setup: steptest.Old("f"), With: func(dir string) string { return fetch(dir, "f") }},
		{Name: "command", Kind: func(safefile.Files) executor.Kind { return step.Command{} },
			With: with(`{"argv":["/bin/sh","-c","echo done > $0",%q]}`, "f")},
		{Name: "reboot", Kind: func(safefile.Files) executor.Kind { return step.Reboot{Command: []string{"true"}} },
			With: func(string) string { return `{"delay":"1ms"}` }},
	}
}

// noLinks is a state directory on another file system than the file.
func noLinks(f safefile.Files) safefile.Files {
	return safefile.Files{Before: func(op string, paths ...string) error {
		if op == "link" {
			return syscall.EXDEV
		}
		if f.Before == nil {
			return nil
		}
		return f.Before(op, paths...)
	}}
}

func linked(dir string) error {
	if err := steptest.Old("f")(dir); err != nil {
		return err
	}
	return os.Symlink("f", filepath.Join(dir, "link"))
}
