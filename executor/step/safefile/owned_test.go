package safefile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whoever can write one name on the way to a file can put another file there.
func TestAFileThatOthersCouldExchangeIsNotOwned(t *testing.T) {
	const nobody = 65534
	chmod := func(name string, mode os.FileMode) func(dir string) error {
		return func(dir string) error { return os.Chmod(filepath.Join(dir, name), mode) }
	}
	chown := func(name string) func(dir string) error {
		return func(dir string) error { return os.Lchown(filepath.Join(dir, name), nobody, nobody) }
	}
	for name, tt := range map[string]struct {
		harm func(dir string) error
		want string // in the error; empty is none
	}{
		"as it was":                        {chmod("a", 0o755), ""},
		"the world can write the file":     {chmod("a/b/file", 0o606), "run chmod go-w"},
		"a group can write the file":       {chmod("a/b/file", 0o660), "run chmod go-w"},
		"the world can write its folder":   {chmod("a/b", 0o777), "run chmod go-w"},
		"the world can write one above":    {chmod("a", 0o777), "run chmod go-w"},
		"the one above is sticky":          {chmod("a", os.ModeSticky|0o777), ""},
		"a link's folder is open":          {chmod("links", 0o777), "run chmod go-w"},
		"the second link's folder is open": {chmod("more", 0o777), "run chmod go-w"},
		"the file is somebody else's":      {chown("a/b/file"), "run chown root"},
		"its folder is somebody else's":    {chown("a/b"), "run chown root"},
		"the link is somebody else's":      {chown("links/one"), "run chown root"},
		"in a sticky folder, somebody's":   {func(dir string) error { return errors.Join(chmod("a", os.ModeSticky|0o777)(dir), chown("a/b")(dir)) }, "run chown root"},
		"the link leads nowhere":           {func(dir string) error { return os.Remove(filepath.Join(dir, "a/b/file")) }, "no such file"},
		"the links lead around in a circle": {func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "more/two")), os.Symlink("../links/one", filepath.Join(dir, "more/two")))
		}, "its links do not end"},
	} {
		dir := t.TempDir()
		for _, sub := range []string{"a/b", "links", "more"} {
			if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for _, made := range []string{"", "a", "a/b", "links", "more"} { // whatever the umask
			if err := chmod(made, 0o755)(dir); err != nil {
				t.Fatal(err)
			}
		}
		err := errors.Join(os.WriteFile(filepath.Join(dir, "a/b/file"), nil, 0o600),
			os.Symlink(filepath.Join(dir, "more/two"), filepath.Join(dir, "links/one")),
			os.Symlink("../a/b/../b/file", filepath.Join(dir, "more/two")))
		if err != nil {
			t.Fatal(err)
		}
		if err := tt.harm(dir); errors.Is(err, os.ErrPermission) {
			continue // only root can give a file away
		} else if err != nil {
			t.Fatal(err)
		}
		got, err := Owned(filepath.Join(dir, "links/one"))
		if tt.want == "" && (err != nil || got != filepath.Join(dir, "a/b/file")) {
			t.Errorf("%s: got %s, %v, want the file", name, got, err)
		}
		if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %s, %v, want %s", name, got, err, tt.want)
		}
	}
}
