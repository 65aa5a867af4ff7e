package conformance_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/config"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

const nobody = 65534

// exchanges are what somebody can put in the place of a file in his directory.
var exchanges = map[string]func(path, victim string) error{
	"a file of his own": func(path, _ string) error {
		return errors.Join(os.Remove(path), os.WriteFile(path, []byte("his"), 0o755), os.Chown(path, nobody, nobody))
	},
	"a second name of root's": func(path, victim string) error { return errors.Join(os.Remove(path), os.Link(victim, path)) },
}

// A step that makes a set-user-id program in a directory of somebody else's
// must not make one of what he has put in its place between two operations.
func TestNoFileThatWasExchangedIsGivenARootsRights(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file to somebody else")
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Unix(1, 0), strings.NewReader("new"))
	}))
	defer server.Close()
	const sum = "11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437" // of "new"
	const rights = `"mode":"6755","owner":"0:0"`
	for name, c := range map[string]struct {
		with string // %[1]s is the directory of somebody else
		kind func(safefile.Files) executor.Kind
	}{
		"file":      {`{"path":"%[1]s/tool","content":"new",` + rights + `}`, func(f safefile.Files) executor.Kind { return step.File{Files: f} }},
		"same file": {`{"path":"%[1]s/tool","content":"was",` + rights + `}`, func(f safefile.Files) executor.Kind { return step.File{Files: f} }},
		"config": {`{"files":[{"path":"%[1]s/tool","content":"new",` + rights + `}]}`,
			func(f safefile.Files) executor.Kind { return config.Kind{Files: f} }},
		"download": {`{"url":"` + server.URL + `/x","to":"%[1]s/tool","sha256":"` + sum + `",` + rights + `}`,
			func(f safefile.Files) executor.Kind { return step.Download{Files: f} }},
	} {
		for what, exchange := range exchanges {
			t.Run(name+" and "+what, func(t *testing.T) {
				for at := 1; exchangeAt(t, at, c.with, c.kind, exchange); at++ {
				}
			})
		}
	}
}

// exchangeAt runs the step and its undo, and exchanges the paths of the at-th
// operation of both before it is done; false when there are fewer.
func exchangeAt(t *testing.T, at int, with string, kind func(safefile.Files) executor.Kind, exchange func(path, victim string) error) bool {
	dir := t.TempDir()
	app, victim := filepath.Join(dir, "app"), filepath.Join(dir, "victim")
	tool := filepath.Join(app, "tool")
	err := errors.Join(os.Mkdir(app, 0o755), os.WriteFile(victim, []byte("root's"), 0o600), os.WriteFile(tool, []byte("was"), 0o600), os.Chmod(tool, 0o755|os.ModeSetuid))
	if err != nil {
		t.Fatal(err)
	}
	n, last := 0, ""
	k := kind(safefile.Files{Before: func(op string, paths ...string) error {
		if n++; n != at {
			return nil
		}
		last = op + " " + strings.Join(paths, " ")
		for _, path := range paths {
			if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() && filepath.Dir(path) == app {
				return exchange(path, victim)
			}
		}
		return nil
	}})
	a := steptest.NewAttempt(t, with, app)
	runErr := a.Run(t.Context(), k)
	if n < at && runErr != nil {
		t.Fatalf("undisturbed it failed: %v", runErr)
	}
	undoErr := a.Undo(k.(executor.Undoer))
	if info, err := os.Stat(victim); err != nil || info.Mode() != 0o600 {
		t.Errorf("exchanged before %q: root's file has the mode %v (%v); run: %v, undo: %v", last, info.Mode(), err, runErr, undoErr)
	}
	for _, path := range hisFiles(t, dir) {
		t.Errorf("exchanged before %q: %s, which is his, is root's and set-user-id now; run: %v, undo: %v", last, path, runErr, undoErr)
	}
	return n >= at
}

// hisFiles are the files with his content that have root's rights.
func hisFiles(t *testing.T, dir string) (list []string) {
	paths, err := filepath.Glob(dir + "/app/*")
	hidden, hiddenErr := filepath.Glob(dir + "/app/.*")
	if err != nil || hiddenErr != nil {
		t.Fatal(err, hiddenErr)
	}
	for _, path := range append(paths, hidden...) {
		info, err := os.Stat(path)
		text, readErr := os.ReadFile(path)
		if err == nil && readErr == nil && bytes.Equal(text, []byte("his")) && info.Mode()&os.ModeSetuid != 0 && info.Sys().(*syscall.Stat_t).Uid == 0 {
			list = append(list, path)
		}
	}
	return list
}

// A part that is a second name of root's file is not gone on with: it would be
// cut and written over.
func TestADownloadDoesNotGoOnWithASecondNameOfAFile(t *testing.T) {
	dir := t.TempDir()
	victim, to := filepath.Join(dir, "victim"), filepath.Join(dir, "to")
	if err := os.WriteFile(victim, []byte("root's file"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Unix(1, 0), strings.NewReader("new"))
	}))
	defer server.Close()
	swapped := false
	k := step.Download{Files: safefile.Files{Before: func(op string, paths ...string) error {
		if op == "rename" && !swapped { // the part is whole, and the agent is killed
			swapped = true
			return errors.Join(os.Remove(paths[0]), os.Link(victim, paths[0]), errors.New("killed"))
		}
		return nil
	}}}
	a := steptest.NewAttempt(t, `{"url":"%s/x","to":%q,"sha256":"11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437"}`, server.URL, to)
	if err := a.Run(t.Context(), k); err == nil || !swapped {
		t.Fatalf("got %v, want it cut before the rename", err)
	}
	err := a.Run(t.Context(), k)
	text, readErr := os.ReadFile(to)
	if kept, _ := os.ReadFile(victim); string(kept) != "root's file" || string(text) != "new" {
		t.Errorf("root's file holds %q, and what was downloaded %q (%v, %v)", kept, text, err, readErr)
	}
}

// Descriptors are few, and a step that fails must not keep any.
func TestAStepThatFailsKeepsNoDescriptor(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.Symlink("loop", dir+"/loop"), os.WriteFile(dir+"/file", []byte("x"), 0o600), os.Mkdir(dir+"/full", 0o700),
		os.WriteFile(dir+"/full/x", nil, 0o600), os.Symlink("full", dir+"/link"), syscall.Mkfifo(dir+"/pipe", 0o600)); err != nil {
		t.Fatal(err)
	}
	fail := func() {
		for _, path := range []string{"loop", "loop/x", "file/x", "full", "link", "pipe", strings.Repeat("n", 300), "full/x"} {
			for op := range 9 {
				n := 0
				k := step.File{Files: safefile.Files{Before: func(string, ...string) error {
					if n++; n > op {
						return errors.New("cut")
					}
					return nil
				}}}
				for _, with := range []string{`{"path":%q,"content":"y"}`, `{"path":%q,"absent":true}`, `{"path":"` + dir + `/new","from":%q}`} {
					a := steptest.NewAttempt(t, with, filepath.Join(dir, path))
					_, _ = a.Run(t.Context(), k), a.Undo(k)
				}
			}
		}
	}
	fail()
	before := descriptors(t)
	fail()
	if after := descriptors(t); after > before {
		t.Errorf("there were %d descriptors, and now there are %d", before, after)
	}
}

func descriptors(t *testing.T) int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// A directory that became a link by right leaves undo data that name it: what
// is said must tell which one, and what to do.
func TestUndoBehindADirectoryThatIsALinkNowSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	app := filepath.Join(dir, "app")
	if err := os.MkdirAll(app+"/sub", 0o755); err != nil {
		t.Fatal(err)
	}
	a := steptest.NewAttempt(t, `{"path":"%s/sub/conf","content":"new"}`, app)
	if err := a.Run(t.Context(), step.File{}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Rename(app, app+".moved"), os.Symlink(app+".moved", app)); err != nil {
		t.Fatal(err)
	}
	err := a.Undo(step.File{})
	if want := app + " is a link or a file now"; err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "make it a directory again") {
		t.Fatalf("got %v, want %q and what to do", err, want)
	}
	if err := errors.Join(os.Remove(app), os.Rename(app+".moved", app)); err != nil {
		t.Fatal(err)
	}
	if err := a.Undo(step.File{}); err != nil {
		t.Errorf("once it is a directory again undo fails: %v", err)
	}
	if _, err := os.Lstat(app + "/sub/conf"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is there still: %v", err)
	}
}
