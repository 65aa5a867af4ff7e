package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A job file needs no signature for where it lies, unless it is somebody's who is
// not the device's owner.
func TestAJobFileOfAnotherUserIsNotBelieved(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("to give a file away needs root")
	}
	file := filepath.Join(t.TempDir(), "job.json")
	if err := os.WriteFile(file, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadJobFile(file); err != nil {
		t.Errorf("root's own: got %v", err)
	}
	if err := os.Chown(file, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadJobFile(file); err == nil || !strings.Contains(err.Error(), "chown root") {
		t.Errorf("got %v, want that it is somebody else's", err)
	}
}
