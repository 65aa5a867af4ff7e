// Package systemd tests the scripts and units beside it.
package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func put(t *testing.T, path, text string) {
	t.Helper()
	mode := os.FileMode(0o755)
	if strings.Contains(path, "/system/") {
		mode = 0o644
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func read(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "none"
	}
	return string(text)
}

func TestAServiceThatFailedIsStartedAgainAndOneOnTrialIsTakenBack(t *testing.T) {
	beside := func(path, end string) string { return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+end) }
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string // binary, old and trial
	}{
		{"no update", map[string]string{"": "new"}, "new none none"},
		{"one that was confirmed", map[string]string{"": "new", ".old": "old"}, "new old none"},
		{"on trial", map[string]string{"": "new", ".old": "old", ".trial": "started\n"}, "old none none"},
		{"not exchanged yet", map[string]string{"": "old", ".old": "old", ".trial": "started"}, "old old started"},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "ratchetd")
		for end, text := range c.files {
			to := path
			if end != "" {
				to = beside(path, end)
			}
			put(t, to, text)
		}
		put(t, filepath.Join(dir, "systemctl"), "#!/bin/sh\necho \"$@\" >>"+dir+"/asked\n")
		cmd := exec.Command("./ratchetd-fallback", path)
		cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH")}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", c.name, err, out)
		}
		if got := strings.Join([]string{read(path), read(beside(path, ".old")), read(beside(path, ".trial"))}, " "); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
		want := "reset-failed ratchetd.service\n--no-block start ratchetd.service\n"
		if got := read(filepath.Join(dir, "asked")); got != want {
			t.Errorf("%s: got systemctl %q, want %q", c.name, got, want)
		}
	}
}

// TestSystemdUnderstandsTheUnits lays them where they belong and lets systemd judge.
func TestSystemdUnderstandsTheUnits(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd is not installed")
	}
	root := t.TempDir()
	units := filepath.Join(root, "usr/lib/systemd/system")
	for _, dir := range []string{units + "/ratchetd.service.d", root + "/usr/lib/ratchet", root + "/usr/bin", root + "/bin"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for from, to := range map[string]string{
		"ratchetd-fallback.service": units + "/ratchetd-fallback.service",
		"ratchetd-fallback.conf":    units + "/ratchetd.service.d/fallback.conf",
		"ratchetd-fallback":         root + "/usr/lib/ratchet/ratchetd-fallback",
	} {
		put(t, to, read(from))
	}
	put(t, root+"/bin/sleep", "")
	put(t, root+"/usr/bin/ratchetd", "")
	put(t, units+"/ratchetd.service", "[Service]\nExecStart=/usr/bin/ratchetd run\n")
	put(t, units+"/sysinit.target", "[Unit]\nDescription=here for the check\n")
	out, err := exec.Command(analyze, "verify", "--root="+root, "--man=no", "ratchetd.service", "ratchetd-fallback.service").CombinedOutput()
	if err != nil || strings.Contains(string(out), "ratchetd") {
		t.Errorf("got %v: %s", err, out)
	}
}
