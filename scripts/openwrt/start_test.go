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

// TestABinaryBehindALinkIsTakenBack: the agent keeps the old one beside the file
// that runs, not beside the links that lead there.
func TestABinaryBehindALinkIsTakenBack(t *testing.T) {
	shells := map[string][]string{"sh": nil}
	if _, err := exec.LookPath("busybox"); err == nil {
		shells["busybox"] = []string{"busybox", "sh"}
	}
	for name, shell := range shells {
		dir := t.TempDir()
		file := filepath.Join(dir, "versions", "ratchetd-2")
		for _, sub := range []string{"versions", "bin"} {
			if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		binary(t, file, "new")
		binary(t, hidden(file, ".old"), "old")
		put(t, hidden(file, ".trial"), "")
		for link, to := range map[string]string{"current": "versions", "bin/ratchetd": "../current/ratchetd-2"} {
			if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
				t.Fatal(err)
			}
		}
		// What lies beside the link is a binary in its place, and no more.
		if got, want := starts(t, shell, filepath.Join(dir, "bin", "ratchetd"), 5), "new new new old old, 1 files"; got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
		if to, err := os.Readlink(filepath.Join(dir, "bin", "ratchetd")); to != "../current/ratchetd-2" {
			t.Errorf("%s: got a link to %q, %v", name, to, err)
		}
	}
}

// TestWhatCannotBeTakenBackIsStartedAndNotSaidToBeBack: on a file system that became
// read-only the new binary is all that there is.
func TestWhatCannotBeTakenBackIsStartedAndNotSaidToBeBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ratchetd")
	binary(t, path, "new")
	binary(t, hidden(path, ".old"), "old")
	put(t, hidden(path, ".trial"), "started\nstarted\nstarted\n")
	bin := t.TempDir()
	put(t, filepath.Join(bin, "mv"), "#!/bin/sh\necho 'mv: read-only file system' >&2\nexit 1\n")
	if err := os.Chmod(filepath.Join(bin, "mv"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("./ratchetd-start", path, "run")
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "new run\n") || !strings.Contains(string(out), "cannot be put back") || strings.Contains(string(out), "is back") {
		t.Errorf("got %s, %v", out, err)
	}
}
