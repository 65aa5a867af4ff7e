package conformance_test

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/config"
	"github.com/ratchetd/ratchet/executor/step/diagnostic"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// Whoever may write a directory above a job's file can put a link in that
// directory's place between any two operations, of the step and of its undo.
// What the link leads to stays as it is.
func TestADirectoryThatBecomesALinkIsNotFollowedAtAnyOperation(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "new") }))
	defer server.Close()
	for name, c := range map[string]struct {
		with string // %[1]s is the directory that is swapped, %[2]s a file beside it
		kind func(safefile.Files) executor.Kind
	}{
		"file": {`{"path":"%[1]s/conf","content":"new","mode":"0666"}`,
			func(f safefile.Files) executor.Kind { return step.File{Files: f} }},
		"file in a new directory": {`{"path":"%[1]s/sub/conf","content":"new"}`,
			func(f safefile.Files) executor.Kind { return step.File{Files: f} }},
		"absent": {`{"path":"%[1]s/conf","absent":true}`,
			func(f safefile.Files) executor.Kind { return step.File{Files: f} }},
		"mode": {`{"path":"%[1]s/conf","content":"was","mode":"0666"}`,
			func(f safefile.Files) executor.Kind { return step.File{Files: f} }},
		"config": {`{"files":[{"path":"%[1]s/conf","content":"new"},{"path":"%[1]s/other","absent":true}]}`,
			func(f safefile.Files) executor.Kind { return config.Kind{Files: f} }},
		"download": {`{"url":"` + server.URL + `/x","to":"%[1]s/conf","unverified":true}`,
			func(f safefile.Files) executor.Kind { return step.Download{Files: f} }},
		"data": {`{"inputs":["%[2]s"],"format":"jsonl","jq":".","output":"%[1]s/conf"}`,
			func(f safefile.Files) executor.Kind { k := steptest.Data(t); k.Files = f; return k }},
		"bundle": {`{"checks":[],"collect":{"to":"%[1]s/conf","files":["%[2]s"]}}`,
			func(f safefile.Files) executor.Kind { return diagnostic.Kind{Files: f} }},
	} {
		t.Run(name, func(t *testing.T) {
			for at := 1; ; at++ {
				if swapped := swapAt(t, at, c.with, c.kind); !swapped {
					if at < 3 {
						t.Fatalf("it has only %d operations", at-1)
					}
					break
				}
			}
		})
	}
}

// swapAt runs the step and its undo, and swaps the directory before the at-th
// operation of both; false when there are fewer.
func swapAt(t *testing.T, at int, with string, kind func(safefile.Files) executor.Kind) bool {
	dir := t.TempDir()
	app, victim, input := filepath.Join(dir, "app"), filepath.Join(dir, "victim"), filepath.Join(dir, "in.json")
	files := map[string]string{app + "/conf": "was", app + "/other": "was", input: `{"a":1}`,
		victim + "/conf": "kept", victim + "/other": "kept", victim + "/.conf.ratchet-new": "kept", victim + "/.conf.ratchet-part": "kept"}
	for _, d := range []string{app, victim} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for path, text := range files {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := listing(t, victim)
	n, last := 0, ""
	k := kind(safefile.Files{Before: func(op string, paths ...string) error {
		if n++; n != at {
			return nil
		}
		last = op + " " + strings.Join(paths, " ")
		if err := os.Rename(app, app+".was"); err != nil {
			return err
		}
		return os.Symlink(victim, app)
	}})
	a := steptest.NewAttempt(t, with, app, input)
	runErr := a.Run(t.Context(), k)
	if n == 0 {
		t.Fatalf("it did nothing: %v", runErr)
	}
	if n < at && runErr != nil {
		t.Fatalf("undisturbed it failed: %v", runErr)
	}
	var undoErr error
	if u, ok := k.(executor.Undoer); ok {
		undoErr = a.Undo(u)
	}
	if after := listing(t, victim); after != before {
		t.Errorf("swapped before %q (run: %v, undo: %v) the victim was\n%sand is\n%s", last, runErr, undoErr, before, after)
	}
	return n >= at
}

func listing(t *testing.T, dir string) string {
	var list strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		fmt.Fprintf(&list, "%s %v %q\n", strings.TrimPrefix(path, dir), info.Mode(), text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list.String()
}
