package safefile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestALinkIsFollowedToWhatIsItsOwnersAndRootsLinkAnywhere(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a link to somebody else")
	}
	dir := t.TempDir()
	const nobody, daemon = 65534, 1
	for name, owner := range map[string]int{"ours": 0, "his": nobody, "other": daemon} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.Mkdir(path, 0o755), os.WriteFile(path+"/conf", nil, 0o644), os.Chown(path, owner, -1), os.Chown(path+"/conf", owner, -1)); err != nil {
			t.Fatal(err)
		}
	}
	link := func(name, to string, owner int) {
		if err := errors.Join(os.Symlink(to, filepath.Join(dir, name)), os.Lchown(filepath.Join(dir, name), owner, -1)); err != nil {
			t.Fatal(err)
		}
	}
	link("by-us", "his", 0)
	link("to-his", "his", nobody)
	link("to-ours", "ours", nobody)
	link("to-other", dir+"/other/conf", nobody)
	link("his/up", "../ours/conf", nobody)
	link("by-two", "to-ours", 0)
	for path, want := range map[string]string{
		"by-us/conf": "/his/conf", "to-his/conf": "/his/conf", "to-his/new": "/his/new", "by-us": "/his",
		"to-ours/conf": "", "to-ours/new": "", "to-other": "", "his/up": "", "by-two/conf": "",
	} {
		got, err := Resolve(filepath.Join(dir, path))
		if want == "" {
			if err == nil || !strings.Contains(err.Error(), "which is not his") {
				t.Errorf("%s: got %s and %v, want it refused", path, got, err)
			}
		} else if got != dir+want || err != nil {
			t.Errorf("%s: got %s and %v, want %s", path, got, err, want)
		}
	}
}

// The kernel finds nothing behind a directory that is not there; cleaned up, the
// path would be another one, and its links not followed.
func TestNothingGoesUpFromADirectoryThatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.WriteFile(dir+"/file", nil, 0o600), os.Symlink("file", dir+"/link"), os.Symlink("none/../link", dir+"/up")); err != nil {
		t.Fatal(err)
	}
	if got, err := Resolve(dir + "/up"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %q and %v, want that it is not there", got, err)
	}
}
