// Package packages tests the packages that are made beside it: that the same
// commit gives the same bytes, and what they do to a device. All of it needs
// tools and minutes, so it is for RATCHET_E2E=1.
package packages

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// needs skips where the test was not asked for, or a tool is missing.
func needs(t *testing.T, root bool, tools ...string) {
	t.Helper()
	if os.Getenv("RATCHET_E2E") == "" || testing.Short() {
		t.Skip("it needs minutes: RATCHET_E2E=1")
	}
	if root && os.Getuid() != 0 {
		t.Skip("only root can make another root")
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed: make deps", tool)
		}
	}
}

func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// make builds programs and packages of a version into dir.
func makePackages(t *testing.T, dir, version string, programs []string, patterns ...string) {
	t.Helper()
	args := []string{"-s", "-C", "../..", "DIST=" + dir, "VERSION=" + version}
	for _, p := range programs {
		args = append(args, dir+"/"+p)
	}
	run(t, ".", "make", args...)
	cmd := exec.Command("./build.sh", append([]string{version}, patterns...)...)
	cmd.Env = append(os.Environ(), "DIST="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build.sh: %v\n%s", err, out)
	}
}

// one is the only file of that pattern.
func one(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: got %q, %v", pattern, found, err)
	}
	return found[0]
}

func TestE2ETheSameCommitGivesTheSameBytes(t *testing.T) {
	needs(t, false, "git")
	programs := []string{"ratchetd-linux-amd64", "ratchet-linux-amd64"}
	patterns := []string{"*/amd64", "*/x86_64"}
	first, second := t.TempDir(), t.TempDir()
	t.Setenv("SOURCE_DATE_EPOCH", strings.TrimSpace(run(t, ".", "git", "log", "-1", "--format=%ct")))
	makePackages(t, first, "1.0.0", programs, patterns...)
	// Another time, other rights and another zone.
	t.Setenv("TZ", "Asia/Tokyo")
	copied := t.TempDir()
	run(t, ".", "cp", "-r", "../../scripts", "../../LICENSE", copied)
	run(t, ".", "chmod", "-R", "go-rwx", copied)
	for _, p := range programs {
		run(t, ".", "cp", filepath.Join(first, p), second)
	}
	cmd := exec.Command("sh", append([]string{"-c", `umask 077; exec "$0" "$@"`, copied + "/scripts/packages/build.sh", "1.0.0"}, patterns...)...)
	cmd.Env = append(os.Environ(), "DIST="+second)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	names, err := os.ReadDir(first)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		a, errA := os.ReadFile(filepath.Join(first, n.Name()))
		b, errB := os.ReadFile(filepath.Join(second, n.Name()))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s: %d and %d bytes, %v, %v, want the same", n.Name(), len(a), len(b), errA, errB)
		}
		t.Log(fmt.Sprint(n.Name(), " ", len(a)))
	}
	if len(names) != len(programs)+5 {
		t.Errorf("got %d files, want 5 packages", len(names))
	}
}

func TestE2EAReleaseIsSignedAndSaysWhatItIsMadeOf(t *testing.T) {
	needs(t, false, "git", "minisign", "sha256sum")
	dir, keys := t.TempDir(), t.TempDir()
	makePackages(t, dir, "1.0.0", []string{"ratchetd-linux-amd64", "ratchet-linux-amd64"}, "deb/amd64")
	key := filepath.Join(keys, "release.key")
	run(t, ".", filepath.Join(dir, "ratchet-linux-amd64"), "key", "new", "--no-passphrase", key)
	t.Setenv("DIST", dir)
	if out, err := exec.Command("./release.sh", "1.0.0").CombinedOutput(); err == nil || !strings.Contains(string(out), "RATCHET_SIGN names no secret key") {
		t.Errorf("without a key: got %v: %s", err, out)
	}
	t.Setenv("RATCHET_SIGN", key)
	run(t, ".", "./release.sh", "1.0.0")
	run(t, dir, "sha256sum", "--check", "--quiet", "SHA256SUMS")
	for _, file := range []string{"SHA256SUMS", "ratchetd-linux-amd64"} {
		run(t, dir, "minisign", "-V", "-p", one(t, filepath.Join(keys, "*.pub")), "-m", file)
	}
	bill, err := os.ReadFile(filepath.Join(dir, "ratchet.cdx.json"))
	if err != nil || !strings.Contains(string(bill), `"pkg:golang/go.etcd.io/bbolt@v1.5.0"`) {
		t.Errorf("got %v, %.300s, want bbolt in it", err, bill)
	}
	sums, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	if err != nil || strings.Count(string(sums), "\n") != 8 {
		t.Errorf("got %v, %s, want 8 files", err, sums)
	}
	out := run(t, ".", filepath.Join(dir, "install.sh"), "--root", t.TempDir())
	t.Logf("%s", out)
}
