package conformance_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/config"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// unwritable are the ways in which a file, or its disk, takes no change, and what a step
// says of each.
var unwritable = map[string]struct {
	harm func(t *testing.T, dir, path string) error
	says string
}{
	"a read-only disk": {func(_ *testing.T, dir, _ string) error {
		return unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, "")
	}, "read-only file system"},
	"a full disk": {func(_ *testing.T, dir, _ string) error {
		err := os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, 2<<20), 0o600)
		if errors.Is(err, unix.ENOSPC) {
			return nil
		}
		return err
	}, "no "}, // room, or space left
	"a file that is a mount point": {func(t *testing.T, _, path string) error {
		t.Cleanup(func() { _ = unix.Unmount(path, unix.MNT_DETACH) })
		return unix.Mount(path, path, "", unix.MS_BIND, "")
	}, "is a mount point, so no other file can take its place"},
	"an immutable file": {func(t *testing.T, _, path string) error {
		t.Cleanup(func() { _ = setImmutable(path, false) })
		return setImmutable(path, true)
	}, "is immutable or may only grow: run chattr -ia"},
	"an immutable folder": {func(t *testing.T, dir, _ string) error {
		t.Cleanup(func() { _ = setImmutable(dir, false) })
		return setImmutable(dir, true)
	}, "is immutable or may only grow: run chattr -ia"},
}

func setImmutable(path string, on bool) error {
	const immutable = 0x10
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	flags, err := unix.IoctlGetInt(int(file.Fd()), unix.FS_IOC_GETFLAGS)
	if err != nil {
		return err
	}
	if flags &^= immutable; on {
		flags |= immutable
	}
	return unix.IoctlSetPointerInt(int(file.Fd()), unix.FS_IOC_SETFLAGS, flags)
}

// What takes no change has none to be undone: the step fails and says why, its undo
// succeeds, and nothing is left beside the file.
func TestWhatCannotBeWrittenIsLeftAsItWas(t *testing.T) {
	type kind interface {
		executor.Kind
		executor.Undoer
	}
	url, sum := steptest.Serve(t, []byte("new content"))
	for what, u := range unwritable {
		for name, s := range map[string]struct {
			kind kind
			with string
		}{
			"file":     {step.File{}, `{"path":%q,"content":"new content"}`},
			"mode":     {step.File{}, `{"path":%q,"content":"before","mode":"0600"}`},
			"absent":   {step.File{}, `{"path":%q,"absent":true}`},
			"download": {step.Download{}, `{"to":%q,"url":"` + url + `","sha256":"` + sum + `"}`},
			"config":   {config.Kind{}, `{"files":[{"path":%q,"content":"new content"}]}`},
		} {
			t.Run(what+"/"+name, func(t *testing.T) {
				dir := smallDisk(t, "1m")
				path := filepath.Join(dir, "conf")
				if err := os.WriteFile(path, []byte("before"), 0o644); err != nil {
					t.Fatal(err)
				}
				if err := u.harm(t, dir, path); err != nil {
					t.Skip("not here: ", err)
				}
				before := contents(t, dir)
				a := steptest.NewAttempt(t, s.with, path)
				err := a.Run(t.Context(), s.kind)
				if what == "a full disk" && err == nil { // some changes need no room
					t.Skip("it has room for that")
				}
				steptest.WantError(t, err, u.says)
				for range 2 {
					if err := a.Undo(s.kind); err != nil {
						t.Errorf("undo: %v", err)
					}
				}
				steptest.WantFile(t, path, []byte("before"))
				if after := contents(t, dir); !slices.Equal(after, before) {
					t.Errorf("left behind: got %q, want %q", after, before)
				}
			})
		}
	}
}

// What is so already needs no place of its own.
func TestAMountPointThatIsAsItShallBeIsFine(t *testing.T) {
	dir := smallDisk(t, "1m")
	path := filepath.Join(dir, "conf")
	if err := errors.Join(os.WriteFile(path, []byte("same"), 0o644), unix.Mount(path, path, "", unix.MS_BIND, "")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(path, unix.MNT_DETACH) })
	if err := steptest.NewAttempt(t, `{"path":%q,"content":"same"}`, path).Run(t.Context(), step.File{}); err != nil {
		t.Error(err)
	}
	if err := steptest.NewAttempt(t, `{"files":[{"path":%q,"content":"same"}]}`, path).Run(t.Context(), config.Kind{}); err != nil {
		t.Error(err)
	}
}

// contents are what a folder holds, with sizes and modes.
func contents(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		info, bad := e.Info()
		if err = errors.Join(err, bad); bad == nil {
			all = append(all, fmt.Sprint(e.Name(), " ", info.Size(), " ", info.Mode()))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}
