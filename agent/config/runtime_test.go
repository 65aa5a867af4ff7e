package config

import (
	"os"
	"path/filepath"
	"testing"
)

func TestADirectoryThatSomebodyElseMadeIsNotUsed(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"theirs", "open", "linked"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("linked", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "open"), 0o777); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"new": "new", "link": "otherwise", "open": "otherwise"}
	if os.Geteuid() == 0 {
		want["theirs"] = "otherwise"
		if err := os.Chown(filepath.Join(dir, "theirs"), 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range want {
		for range 2 { // it is there the second time
			if got := ownDir(filepath.Join(dir, name), "otherwise"); filepath.Base(got) != want {
				t.Errorf("%s: got %s, want %s", name, got, want)
			}
		}
	}
}
