package look_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/telemetry/look"
	"github.com/ratchetd/ratchet/telemetry/look/looktest"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == look.Arg {
		os.Exit(look.Worker(os.Args[2:], os.Stdout))
	}
	look.Program = []string{"/proc/self/exe", look.Arg}
	os.Exit(m.Run())
}

// A file system that hangs costs its own answer, and holds none of this process.
func TestAFileSystemThatHangsIsLeftToAChild(t *testing.T) {
	t.Parallel()
	hung, fine := looktest.Hang(t), t.TempDir()
	asked := time.Now()
	got := look.At(t.Context(), fine, filepath.Join(hung, "file"), filepath.Join(fine, "none"))
	if got[0].Error() != nil || !got[0].Dir || got[0].Total == 0 || !got[2].Absent {
		t.Errorf("got %+v beside one that hangs", got)
	}
	if err := got[1].Error(); !errors.Is(err, look.ErrHangs) || !strings.HasPrefix(err.Error(), hung) {
		t.Errorf("got %v, want it to hang", err)
	}
	first := time.Since(asked)
	if err := look.Enter(hung); !errors.Is(err, look.ErrHangs) {
		t.Errorf("entering it: got %v", err)
	}
	if err := look.Enter(fine); err != nil {
		t.Errorf("entering another: got %v", err)
	}
	asked = time.Now()
	for range 20 { // it is known by now
		if err := look.At(t.Context(), filepath.Join(hung, "file"))[0].Error(); !errors.Is(err, look.ErrHangs) {
			t.Errorf("again: got %v", err)
		}
	}
	if again := time.Since(asked); again > first {
		t.Errorf("20 looks more took %s, the first %s", again, first)
	}
	threads, _ := filepath.Glob("/proc/self/task/*/stat")
	for _, file := range threads {
		if text, err := os.ReadFile(file); err == nil && strings.Contains(string(text), ") D ") {
			t.Errorf("a thread of this process hangs: %s", text)
		}
	}
}

// Whoever asks may have less time than a disk that sleeps needs: that says nothing about it.
func TestWhoAsksMayLeaveEarlier(t *testing.T) {
	t.Parallel()
	hung := looktest.Hang(t)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if err := look.At(ctx, hung)[0].Error(); !errors.Is(err, look.ErrHangs) {
		t.Errorf("got %v", err)
	}
	if look.Hung(hung) {
		t.Error("it counts as one that hangs")
	}
}

// What hangs for as long as it likes holds a few children, and keeps none from another.
func TestOneThatHangsTakesFewChildren(t *testing.T) {
	hung, fine := looktest.Hang(t), t.TempDir()
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if err := look.At(ctx, hung)[0].Error(); !errors.Is(err, look.ErrHangs) {
			t.Errorf("got %v", err)
		}
		cancel()
	}
	if err := look.At(t.Context(), fine)[0].Error(); err != nil {
		t.Errorf("of another: got %v", err)
	}
}

func TestMountsOfTheBoardItselfAreCalm(t *testing.T) {
	all := []look.Mount{{Device: "0:20", Path: "/", FS: "overlay"}, {Device: "31:5", Path: "/overlay", FS: "jffs2"}, {Device: "0:5", Path: "/proc", FS: "proc"},
		{Device: "8:1", Path: "/mnt/stick", FS: "vfat"}, {Device: "0:44", Path: "/mnt/nfs", FS: "nfs4"}, {Device: "8:17", Path: "/mnt/ntfs", FS: "fuseblk"}, {Device: "0:50", Path: "/home", FS: "autofs"}}
	pc := []look.Mount{{Device: "8:2", Path: "/", FS: "ext4"}, {Device: "8:2", Path: "/var/bind", FS: "ext4"}, {Device: "8:3", Path: "/data", FS: "ext4"}}
	for want, list := range map[string][]look.Mount{"/ /overlay /proc": all, "/ /var/bind": pc} {
		var got []string
		for _, m := range list {
			if m.Calm(list) {
				got = append(got, m.Path)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestWhereNoChildCanBeStartedTheAgentLooksItself(t *testing.T) {
	program := look.Program
	t.Cleanup(func() { look.Program = program })
	look.Program = []string{"/nonexistent/ratchetd", look.Arg}
	if got := look.At(t.Context(), t.TempDir())[0]; got.Error() != nil || !got.Dir {
		t.Errorf("got %+v", got)
	}
}
