package conformance_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// An agent that is not root may write in a directory whose names it cannot
// list, as a drop box is: it cannot be opened to be synced.
func TestAFileIsWrittenInADirectoryThatCannotBeListed(t *testing.T) {
	box, err := os.MkdirTemp("", "box")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(box) })
	if err := os.Chmod(box, 0o300); err != nil {
		t.Fatal(err)
	}
	a := steptest.NewAttempt(t, `{"path":"%s/conf","content":"new","mode":"0600"}`, box)
	err = withoutRoot(t, box, func() error {
		if _, err := os.ReadDir(box); err == nil {
			return errors.New("the test can list the directory")
		}
		return errors.Join(a.Run(t.Context(), step.File{}), a.Run(t.Context(), step.File{}))
	})
	text, readErr := os.ReadFile(filepath.Join(box, "conf"))
	if err != nil || os.Geteuid() == 0 && string(text) != "new" {
		t.Errorf("got %q and %v (%v)", text, err, readErr)
	}
}

// withoutRoot calls act as a user who is not root and has dir. It is one thread
// that becomes him, and ends then.
func withoutRoot(t *testing.T, dir string, act func() error) error {
	if os.Geteuid() != 0 {
		return act()
	}
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		runtime.LockOSThread()
		_, err := unix.SetfsuidRetUid(nobody)
		ended <- errors.Join(err, act())
	}()
	return <-ended
}
