package upload_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor/step/steptest"
	"github.com/ratchetd/ratchet/executor/step/upload"
)

// A backup is of use where it is restored: on a router that is by BusyBox.
func TestBusyBoxUnpacksWhatWasSentUnderItsOwnName(t *testing.T) {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("busybox is not installed: make deps")
	}
	dir := t.TempDir()
	for _, name := range []string{"plain", "zürich/straße", strings.Repeat("deep/", 60) + "file", strings.Repeat("n", 180)} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(name), 0o640)); err != nil {
			t.Fatal(err)
		}
		s := newReceiver(t, nil)
		a := steptest.NewAttempt(t, `{"paths":[%q,%q],"url":"%s/"}`, path, filepath.Join(dir, "plain"), s.URL)
		if err := a.Run(t.Context(), upload.Kind{}); err != nil {
			t.Fatal(err)
		}
		_, _, _, body := s.got()
		to := t.TempDir()
		tar := exec.Command(busybox, "tar", "-xzf", "-", "-C", to)
		tar.Stdin = bytes.NewReader(body)
		if out, err := tar.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
		if got, err := os.ReadFile(filepath.Join(to, path)); string(got) != name || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, name)
		}
	}
}
