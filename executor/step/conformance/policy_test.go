package conformance_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/config"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// tree makes a directory with protected files and many a name for them.
func tree(t *testing.T) (dir string, p policy.Policy) {
	dir = t.TempDir()
	for _, sub := range []string{"state/jobs", "open"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for file, text := range map[string]string{"state/db": "db", "key": "secret", "open/f": "open"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"open/dir": "../state", "open/key": "../key", "state/out": "../open/f", "alias": "state"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(filepath.Join(dir, "key"), filepath.Join(dir, "open/hard")); err != nil {
		t.Fatal(err)
	}
	return dir, policy.Policy{Protected: []string{
		filepath.Join(dir, "alias"), filepath.Join(dir, "key"), filepath.Join(dir, "open/later"),
	}}
}

func TestNoNameLeadsToWhatIsProtected(t *testing.T) {
	dir, p := tree(t)
	for path, want := range map[string]string{
		"state":            "is protected",
		"state/db":         "is protected",
		"state/jobs/new":   "is protected",
		"state/no/such/a":  "is protected",
		"state/out":        "is protected", // the link itself lies there
		"key":              "is protected",
		"open/dir/db":      "is protected",
		"open/dir/new":     "is protected",
		"open/key":         "is protected",
		"open/hard":        "is protected",
		"open/later":       "is protected", // which does not exist yet
		"open/f":           "",
		"open/new":         "",
		"state-of-affairs": "",
	} {
		path = filepath.Join(dir, path)
		for verb, open := range map[string]func(string) error{"written": p.Writable, "read": p.Readable} {
			err := open(path)
			if want != "" {
				steptest.WantError(t, err, want, verb)
			} else if err != nil {
				t.Errorf("%s: got %v, want it %s", path, err, verb)
			}
		}
	}
}

func TestProcIsProtected(t *testing.T) {
	dir, p := tree(t)
	for _, path := range []string{"/proc/self/environ", "/proc/self/root" + filepath.Join(dir, "key")} {
		steptest.WantError(t, p.Readable(path), "is protected")
	}
	steptest.WantError(t, policy.Policy{}.Readable("/proc/1/environ"), "is protected")
}

// TestEveryKindAsksThePolicy: a job can neither read nor write what is not its.
func TestEveryKindAsksThePolicy(t *testing.T) {
	dir, p := tree(t)
	s := steptest.NewServer(t, steptest.Pattern(10))
	key := filepath.Join(dir, "key")
	write := steptest.NewAttempt(t, `{"path":%q,"content":"x"}`, key)
	steptest.WantError(t, write.Run(t.Context(), step.File{Policy: p}), "cannot be written by a job")
	remove := steptest.NewAttempt(t, `{"path":%q,"absent":true}`, key)
	steptest.WantError(t, remove.Run(t.Context(), step.File{Policy: p}), "cannot be written by a job")
	read := steptest.NewAttempt(t, `{"path":%q,"from":%q}`, filepath.Join(dir, "open/copy"), key)
	steptest.WantError(t, read.Run(t.Context(), step.File{Policy: p}), "cannot be read by a job")
	get := steptest.NewAttempt(t, `{"url":%q,"sha256":%q,"to":%q}`, s.URL, steptest.Digest(s.Content), key)
	steptest.WantError(t, get.Run(t.Context(), step.Download{Policy: p}), "cannot be written by a job")
	steptest.WantFile(t, key, []byte("secret"))
	if got := s.Requests(); len(got) > 0 {
		t.Errorf("got requests %q, want none", got)
	}
}

// A tree that the owner opens has no way out by a link in it. (One that leads
// nowhere is written through by no kind.)
func TestNoLinkLeavesTheTreesThatMayBeWritten(t *testing.T) {
	dir, p := tree(t)
	p.Paths = []string{filepath.Join(dir, "open")}
	outside := filepath.Join(dir, "outside")
	if err := errors.Join(os.Mkdir(outside, 0o755), os.WriteFile(filepath.Join(outside, "f"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"away": outside, "file": outside + "/f", "up": "..", "here": "f"} {
		if err := os.Symlink(to, filepath.Join(dir, "open", link)); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		"open/away/f": "policy.paths", "open/file": "policy.paths", "open/up/outside/f": "policy.paths", "open/away": "policy.paths",
		"outside/f": "policy.paths", "open/f": "", "open/here": "", "open/new/f": "", "open/up/open/f": "",
	} {
		for name, kind := range map[string]executor.Kind{
			`{"path":%q,"content":"x"}`: step.File{Policy: p}, `{"files":[{"path":%q,"content":"x"}]}`: config.Kind{Policy: p},
			`{"url":"http://127.0.0.1:9/","sha256":"` + steptest.Digest(nil) + `","to":%q}`: step.Download{Policy: p},
		} {
			err := kind.Check(fmt.Appendf(nil, name, filepath.Join(dir, path)))
			if want != "" {
				steptest.WantError(t, err, want)
			} else if err != nil {
				t.Errorf("%T %s: got %v, want it written", kind, path, err)
			}
		}
	}
}

func TestAPathBelowAFileIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	a := steptest.NewAttempt(t, `{"path":"%s/below","content":"x"}`, file)
	steptest.WantError(t, a.Run(t.Context(), step.File{}), file+" is a file: want a directory there")
}
