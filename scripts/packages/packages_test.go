// Package packages tests the packages that are made beside it: that the same
// commit gives the same bytes, and what they do to a device. All of it needs
// tools and minutes, so it is for RATCHET_E2E=1.
package packages

import (
	"bytes"
	"encoding/json"
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

// TestE2ETheSameCommitGivesTheSameBytes builds programs and packages twice, in two
// clones: the second time with nothing built before, at another time, with other
// rights and in another zone.
func TestE2ETheSameCommitGivesTheSameBytes(t *testing.T) {
	needs(t, false, "git", "make")
	var made []string
	for i, settings := range [][]string{nil, {"TZ=Asia/Tokyo", "GOCACHE=" + t.TempDir()}} {
		source := filepath.Join(t.TempDir(), strings.Repeat("deeper/", i)+"clone")
		run(t, ".", "git", "clone", "-q", "../..", source)
		const programs = "dist/ratchetd-linux-amd64 dist/ratchet-linux-amd64 dist/ratchetd-linux-mipsle"
		script := "umask 077; make -s VERSION=1.0.0 " + programs + " && unset GOCACHE && scripts/packages/build.sh 1.0.0 '*/amd64' '*/x86_64' '*/mipsel_24kc'"
		if i == 0 {
			script = strings.Replace(script, "077", "022", 1)
		}
		cmd := exec.Command("sh", "-c", script)
		cmd.Dir, cmd.Env = source, append(os.Environ(), settings...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		made = append(made, filepath.Join(source, "dist"))
	}
	names, err := os.ReadDir(made[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		a, errA := os.ReadFile(filepath.Join(made[0], n.Name()))
		b, errB := os.ReadFile(filepath.Join(made[1], n.Name()))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s: %d and %d bytes, %v, %v, want the same", n.Name(), len(a), len(b), errA, errB)
		}
		t.Log(fmt.Sprint(n.Name(), " ", len(a)))
	}
	if len(names) != 3+7 {
		t.Errorf("got %d files, want 3 programs and 7 packages", len(names))
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
	if out, err := exec.Command("./release.sh", "2.0.0").CombinedOutput(); err == nil || !strings.Contains(string(out), "is not of version 2.0.0") {
		t.Errorf("with packages of another version: got %v: %s", err, out)
	}
	run(t, ".", "./release.sh", "1.0.0")
	run(t, dir, "sha256sum", "--check", "--quiet", "SHA256SUMS")
	for _, file := range []string{"SHA256SUMS", "ratchetd-linux-amd64"} {
		run(t, dir, "minisign", "-V", "-p", one(t, filepath.Join(keys, "*.pub")), "-m", file)
	}
	bill, err := os.ReadFile(filepath.Join(dir, "ratchet.cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	lists(t, bill, dir)
	sums, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	if err != nil || strings.Count(string(sums), "\n") != 8 {
		t.Errorf("got %v, %s, want 8 files", err, sums)
	}
	out := run(t, ".", filepath.Join(dir, "install.sh"), "--root", t.TempDir())
	t.Logf("%s", out)
}

// lists checks a bill against what Go says is in the programs: each module is
// there, with its version and its licence.
func lists(t *testing.T, bill []byte, dir string) {
	t.Helper()
	var got struct {
		Components []struct {
			Name, Version string
			Licenses      []struct{ Expression string }
		}
	}
	if err := json.Unmarshal(bill, &got); err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, c := range got.Components {
		if c.Version == "" || len(c.Licenses) != 1 || c.Licenses[0].Expression == "" {
			t.Errorf("got %+v, want a version and a licence", c)
		}
		there[c.Name+" "+c.Version] = true
	}
	modules := 0
	for line := range strings.Lines(run(t, dir, "go", "version", "-m", "ratchetd-linux-amd64", "ratchet-linux-amd64")) {
		f := strings.Fields(line)
		if len(f) < 3 || f[0] != "dep" {
			continue
		}
		modules++
		if !there[f[1]+" "+f[2]] {
			t.Errorf("%s %s is not in the bill", f[1], f[2])
		}
	}
	if modules < 20 {
		t.Errorf("got %d modules in the programs", modules)
	}
}
