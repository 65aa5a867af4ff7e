package step_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

func TestFileRefuses(t *testing.T) {
	for with, want := range map[string]string{
		`{"path":"f","content":""}`:                    "path: ",
		`{"path":"/a/","content":""}`:                  "path: ",
		`{"path":"/a/../b","content":""}`:              "path: ",
		`{"path":"/f"}`:                                "exactly one of content, base64, from and absent",
		`{"path":"/f","content":"","from":"/g"}`:       "exactly one of",
		`{"path":"/f","absent":true,"mode":"0644"}`:    "absent: goes without",
		`{"path":"/f","base64":"###"}`:                 "base64: ",
		`{"path":"/f","from":"g"}`:                     "from: ",
		`{"path":"/f","content":"","mode":"0999"}`:     "mode: ",
		`{"path":"/f","content":"","mode":"10000"}`:    "mode: ",
		`{"path":"/f","content":"","mode":644}`:        "mode: want a string",
		`{"path":"/f","content":"","owner":"a:b:c"}`:   "owner: ",
		`{"path":"/f","content":"","owner":":staff"}`:  "owner: ",
		`{"path":"/f","content":"","contents":"a"}`:    "contents: unknown field",
		`{"path":"/f","content":"","owner":"nobody:"}`: "owner: ",
	} {
		steptest.WantError(t, step.File{}.Check([]byte(with)), want)
	}
}

func TestFileFailsClearly(t *testing.T) {
	dir := t.TempDir()
	for name, make := range map[string]func(path string) error{
		"directory": func(path string) error { return os.Mkdir(path, 0o755) },
		"fifo":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"dangling":  func(path string) error { return os.Symlink("nowhere", path) },
	} {
		if err := make(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ name, more, want string }{
		{"directory", `"content":"x"`, "is a directory"},
		{"directory", `"absent":true`, "is a directory"},
		{"fifo", `"content":"x"`, "is no regular file"},
		{"fifo", `"absent":true`, "is no regular file"},
		{"dangling", `"content":"x"`, "is a link that leads nowhere: remove it or make what it points to"},
		{"f", `"from":"/no/such"`, "from: /no/such does not exist"},
		{"f", `"from":"/etc"`, "from: /etc is a directory"},
		{"f", `"content":"x","owner":"no-such-user"`, `owner: user "no-such-user" does not exist on this device`},
		{"f", `"content":"x","owner":"0:no-such-group"`, `owner: group "no-such-group" does not exist on this device`},
	} {
		a := steptest.NewAttempt(t, `{"path":%q,%s}`, filepath.Join(dir, tt.name), tt.more)
		steptest.WantError(t, a.Run(t.Context(), step.File{}), tt.want)
		if err := a.Undo(step.File{}); err != nil {
			t.Errorf("undo after %q: %v", tt.want, err)
		}
		if _, err := os.Lstat(filepath.Join(dir, tt.name)); tt.name != "f" && err != nil {
			t.Errorf("got %v, want %s as it was", err, tt.name)
		}
	}
}

func TestADanglingLinkCanBeRemovedAndBroughtBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("nowhere", path); err != nil {
		t.Fatal(err)
	}
	a := steptest.NewAttempt(t, `{"path":%q,"absent":true}`, path)
	if err := a.Run(t.Context(), step.File{}); err != nil {
		t.Fatal(err)
	}
	if err := a.Undo(step.File{}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.Readlink(path); got != "nowhere" {
		t.Errorf("got a link to %q, %v, want nowhere", got, err)
	}
}

func TestNothingIsWrittenWhenItIsSo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("text"), 0o640); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	a := steptest.NewAttempt(t, `{"path":%q,"content":"text","mode":"0640","owner":"%d:%d"}`, path, os.Getuid(), os.Getgid())
	if err := a.Run(t.Context(), step.File{}); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) || a.Saves > 0 {
		t.Errorf("got another file or %d saves, want it untouched", a.Saves)
	}
}

func TestModeAndOwnerStayUnlessGiven(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Chmod(path, 0o2751); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(path, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Chmod(path, 0o2751); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	a := steptest.NewAttempt(t, `{"path":%q,"content":"other"}`, path)
	if err := a.Run(t.Context(), step.File{}); err != nil {
		t.Fatal(err)
	}
	got, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	gotSys, wantSys := got.Sys().(*syscall.Stat_t), want.Sys().(*syscall.Stat_t)
	if gotSys.Mode != wantSys.Mode || gotSys.Uid != wantSys.Uid || gotSys.Gid != wantSys.Gid {
		t.Errorf("got %o %d:%d, want %o %d:%d", gotSys.Mode, gotSys.Uid, gotSys.Gid, wantSys.Mode, wantSys.Uid, wantSys.Gid)
	}
}

// TestReadersSeeOldOrNew: while a file is replaced again and again, no reader
// finds it absent, empty or half written.
// A program that may do more than its user is, with other content, a way around policy.users
// and policy.commands, as one with set-user-id is.
func TestAProgramWithCapabilitiesGetsNoOtherContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("before"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setxattr(path, "security.capability", []byte{1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0); err != nil {
		t.Skip("no capabilities can be given here: ", err)
	}
	for rule, p := range map[string]policy.Policy{"policy.users": {Users: []string{"app"}}, "policy.commands": {Commands: []string{"/usr/lib/app/*"}}} {
		a := steptest.NewAttempt(t, `{"path":%q,"content":"new"}`, path)
		steptest.WantError(t, a.Run(t.Context(), step.File{Policy: p}), rule+" is set, so no job makes a file set-user-id, set-group-id or capable of more than its user")
	}
	steptest.WantFile(t, path, []byte("before"))
	if err := steptest.NewAttempt(t, `{"path":%q,"content":"new"}`, path).Run(t.Context(), step.File{}); err != nil {
		t.Error(err)
	}
}

func TestReadersSeeOldOrNew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	texts := [2]string{strings.Repeat("a", 100_000), strings.Repeat("b", 100_000)}
	if err := os.WriteFile(path, []byte(texts[0]), 0o644); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	end := time.Now().Add(300 * time.Millisecond)
	go func() {
		for time.Now().Before(end) {
			got, err := os.ReadFile(path)
			if err != nil || string(got) != texts[0] && string(got) != texts[1] {
				done <- fmt.Errorf("got %d bytes, %w", len(got), err)
				return
			}
		}
		done <- nil
	}()
	for i := 1; time.Now().Before(end); i++ {
		a := steptest.NewAttempt(t, `{"path":%q,"content":%q}`, path, texts[i%2])
		if err := a.Run(t.Context(), step.File{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestALinkInTheTempsPlaceIsNotFollowed: somebody who may write in the same
// directory cannot make the agent write elsewhere.
func TestALinkInTheTempsPlaceIsNotFollowed(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(dir, "victim")
	if err := os.WriteFile(victim, []byte("safe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, filepath.Join(dir, ".f.ratchet-new")); err != nil {
		t.Fatal(err)
	}
	a := steptest.NewAttempt(t, `{"path":%q,"content":"new"}`, filepath.Join(dir, "f"))
	if err := a.Run(t.Context(), step.File{}); err != nil {
		t.Fatal(err)
	}
	steptest.WantFile(t, victim, []byte("safe"))
	steptest.WantFile(t, filepath.Join(dir, "f"), []byte("new"))
}

func TestALongNameCanBeWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("n", 255))
	a := steptest.NewAttempt(t, `{"path":%q,"content":"new"}`, path)
	if err := a.Run(t.Context(), step.File{}); err != nil {
		t.Fatal(err)
	}
	steptest.WantFile(t, path, []byte("new"))
}

// TestUndoNeedsNoParameters: what the device filled in may be gone by then.
func TestUndoNeedsNoParameters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := steptest.NewServer(t, steptest.Pattern(10))
	for name, tt := range map[string]struct {
		kind interface {
			executor.Kind
			executor.Undoer
		}
		with string
	}{
		"file":     {step.File{}, fmt.Sprintf(`{"path":%q,"content":"new"}`, path)},
		"download": {step.Download{}, fmt.Sprintf(`{"url":%q,"sha256":%q,"to":%q}`, s.URL, steptest.Digest(s.Content), path)},
	} {
		a := steptest.NewAttempt(t, "%s", tt.with)
		if err := a.Run(t.Context(), tt.kind); err != nil {
			t.Fatal(err)
		}
		a.With = []byte(`{"url":{"jq":".vars.url"},"content":{"secret":"gone"}}`)
		if err := a.Undo(tt.kind); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		steptest.WantFile(t, path, []byte("before"))
	}
}

func TestNothingIsReplacedThatCannotBeKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := steptest.NewAttempt(t, `{"path":%q,"content":"new"}`, path)
	a.Dir = "/proc/no-such-place"
	steptest.WantError(t, a.Run(t.Context(), step.File{}), "undo data")
	a.Dir = ""
	steptest.WantError(t, a.Run(t.Context(), step.File{}), "keeping undo data: the task has no directory")
	steptest.WantFile(t, path, []byte("before"))
}
