package inputs

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ratchetd/ratchet/executor/step/policy"
)

func TestADirectoryThatBecameALinkIsNotFollowed(t *testing.T) {
	dir := t.TempDir()
	for _, sub := range []string{"app", "kept"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, sub, "key"), []byte(sub), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file, err := chooseOne(policy.Policy{Protected: []string{filepath.Join(dir, "kept")}}, filepath.Join(dir, "app", "key"))
	if err != nil {
		t.Fatal(err)
	}
	if opened, err := file.Open(); err != nil {
		t.Errorf("got %v, want it opened: nothing has changed", err)
	} else {
		opened.Close()
	}
	if err := os.Rename(filepath.Join(dir, "app"), filepath.Join(dir, "was")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("kept", filepath.Join(dir, "app")); err != nil {
		t.Fatal(err)
	}
	if opened, err := file.Open(); err == nil {
		opened.Close()
		t.Error("a protected file was opened by the name of another")
	}
}
