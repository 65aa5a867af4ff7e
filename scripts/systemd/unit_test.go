// Package systemd tests the units beside it.
package systemd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/agent"
)

// lay makes a root with the unit and one drop-in, or none.
func lay(t *testing.T, dropIn string) string {
	t.Helper()
	root := t.TempDir()
	units := filepath.Join(root, "usr/lib/systemd/system")
	files := map[string]string{
		root + "/usr/bin/ratchetd": "", root + "/usr/libexec/ratchetd/ratchetd-start": "", root + "/bin/sh": "",
		units + "/sysinit.target": "[Unit]\nDescription=here for the check\n",
	}
	for from, to := range map[string]string{"ratchetd.service": "/ratchetd.service", dropIn: "/ratchetd.service.d/own.conf"} {
		if from == "" {
			continue
		}
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		files[units+to] = string(text)
	}
	for path, text := range files {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(path, units) {
			if err := os.Chmod(path, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root
}

// TestSystemdTakesTheUnitsAndRatesThemAsTold lays them where they belong and
// lets systemd judge; how exposed each is, by tenths, is in the README.
func TestSystemdTakesTheUnitsAndRatesThemAsTold(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd is not installed")
	}
	for dropIn, most := range map[string]int{"": 91, "hardened.conf": 45, "unprivileged.conf": 17} {
		root := lay(t, dropIn)
		out, err := exec.Command(analyze, "verify", "--root="+root, "--man=no", "ratchetd.service").CombinedOutput()
		if err != nil || strings.Contains(string(out), "ratchetd") {
			t.Errorf("%q: got %v: %s", dropIn, err, out)
		}
		out, err = exec.Command(analyze, "security", "--no-pager", "--offline=yes", "--root="+root, fmt.Sprint("--threshold=", most), "ratchetd.service").CombinedOutput()
		if err != nil {
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			t.Errorf("%q: got %v: %s", dropIn, err, lines[len(lines)-1])
		}
	}
}

// TestADeniedCallEndsNothing: without an error number systemd's filter kills who makes
// the call, and the agent asks for some that it can do without.
func TestADeniedCallEndsNothing(t *testing.T) {
	for _, name := range []string{"ratchetd.service", "hardened.conf", "unprivileged.conf"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "\nSystemCallFilter=") || !strings.Contains(string(text), "\nSystemCallErrorNumber=EPERM\n") {
			t.Errorf("%s: a filter without SystemCallErrorNumber=EPERM, or none", name)
		}
	}
}

// TestEachKindWasTriedUnderEachUnit: kinds.txt is what make vm-units saw.
func TestEachKindWasTriedUnderEachUnit(t *testing.T) {
	text, err := os.ReadFile("kinds.txt")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{}
	for line := range strings.Lines(string(text)) {
		kind, _, _ := strings.Cut(line, " ")
		rows[strings.TrimSuffix(kind, ",")] = strings.Count(line, "works") + strings.Count(line, "| no ")
	}
	for kind := range agent.Kinds() {
		if rows[kind] != 3 {
			t.Errorf("%s: got %d results, want one for each unit: make vm-units", kind, rows[kind])
		}
	}
}
