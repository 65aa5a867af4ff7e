// Package openwrt tests the scripts beside it.
package openwrt

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// binary is a stand-in for the agent, which says its name and ends.
func binary(t *testing.T, path, name string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho "+name+" \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// hidden is a name beside path, as package updater gives them.
func hidden(path, end string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+end)
}

// starts runs the script so often and tells what it started, and what is left.
func starts(t *testing.T, shell []string, path string, times int) string {
	t.Helper()
	var said []string
	for range times {
		argv := append(slices.Clone(shell), "./ratchetd-start", path, "run", "--config", "a b")
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		name, rest, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
		if rest != "run --config a b" {
			t.Errorf("got arguments %q", rest)
		}
		said = append(said, name)
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(strings.Join(said, " "), ", ", len(files), " files")
}

func TestABinaryOnTrialIsTakenBackAfterThreeStarts(t *testing.T) {
	t.Run("sh", func(t *testing.T) { takenBack(t, nil) })
	t.Run("busybox", func(t *testing.T) { // what OpenWrt has
		if _, err := exec.LookPath("busybox"); err != nil {
			t.Skip("busybox is not installed: make deps")
		}
		takenBack(t, []string{"busybox", "sh"})
	})
}

func takenBack(t *testing.T, shell []string) {
	for _, c := range []struct {
		name     string
		trial    string // what is in the file of that name; "" is no such file
		old, now string
		times    int
		want     string
	}{
		{"no update", "", "", "new", 5, "new new new new new, 1 files"},
		{"one that was confirmed", "", "old", "new", 5, "new new new new new, 2 files"},
		{"on trial, started by the old one", "started\n", "old", "new", 5, "new new old old old, 1 files"},
		{"on trial, the power went before", "-\n", "old", "new", 2, "new new, 3 files"},
		{"the old one still, not exchanged yet", "started\n", "same", "same", 5, "same same same same same, 3 files"},
		{"without an old one", "started\n", "", "new", 5, "new new new new new, 2 files"},
	} {
		path := filepath.Join(t.TempDir(), "ratchetd")
		binary(t, path, c.now)
		if c.old != "" {
			binary(t, hidden(path, ".old"), c.old)
		}
		if c.trial != "" {
			put(t, hidden(path, ".trial"), strings.TrimPrefix(c.trial, "-"))
		}
		if got := starts(t, shell, path, c.times); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

// TestTheLauncherStartsNothingButTheAgent: who may run it, as root, must not get
// any other program by it.
func TestTheLauncherStartsNothingButTheAgent(t *testing.T) {
	dir := t.TempDir()
	other, agent := filepath.Join(dir, "other"), filepath.Join(dir, "ratchetd")
	binary(t, other, "other")
	binary(t, agent, "agent")
	for _, argv := range [][]string{
		{}, {"/bin/sh", "-c", "echo other"}, {"/bin/sh", "run"}, {other, "run"}, {agent}, {agent, "check"}, {agent, ""},
		{"ratchetd", "run"}, {dir + "/ratchetd/../other", "run"}, {agent + " ", "run"}, {agent + "\n", "run"}, {agent, "run\n"}, {agent, "running"},
		{other, agent + ",run"}, {other, "run", agent, "run"},
	} {
		out, err := exec.Command("./ratchetd-start", argv...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "usage: ratchetd-start") {
			t.Errorf("%q: got %q, %v, want its usage", argv, out, err)
		}
	}
	if out, err := exec.Command("./ratchetd-start", agent, "run", "--verbose").Output(); err != nil || string(out) != "agent run --verbose\n" {
		t.Errorf("got %q, %v", out, err)
	}
}
