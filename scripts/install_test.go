// Package scripts tests the scripts beside it.
package scripts

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A place has a release and a system to install it on.
type place struct {
	release, root, bin string
	shell              []string
}

func newPlace(t *testing.T, shell ...string) place {
	t.Helper()
	p := place{t.TempDir(), t.TempDir(), t.TempDir(), shell}
	for _, name := range []string{"amd64", "386", "mips", "mipsle", "armv7", "arm64"} {
		p.put(t, filepath.Join(p.release, "ratchetd-linux-"+name), "program for "+name)
	}
	for _, name := range []string{"systemd/ratchetd.service", "openwrt/ratchetd-start"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		p.put(t, filepath.Join(p.release, filepath.Base(name)), string(text))
	}
	p.sum(t)
	p.machine(t, "x86_64", 2, 1)
	if err := os.MkdirAll(filepath.Join(p.root, "usr/lib/systemd/system"), 0o755); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p place) put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// sum vouches for all that lies in the release.
func (p place) sum(t *testing.T) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(p.release, "ratchetd*"))
	if err != nil {
		t.Fatal(err)
	}
	var sums strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(text), filepath.Base(f))
	}
	p.put(t, filepath.Join(p.release, "SHA256SUMS"), sums.String())
}

// machine makes the system one of that kernel, with a shell of so many bits
// (1: 32, 2: 64) and that order of bytes (1: little).
func (p place) machine(t *testing.T, kernel string, bits, order byte) {
	t.Helper()
	p.put(t, filepath.Join(p.bin, "uname"), "#!/bin/sh\necho "+kernel+"\n")
	p.put(t, filepath.Join(p.root, "bin/sh"), "\x7fELF"+string([]byte{bits, order}))
}

// run runs the script and returns what it said.
func (p place) run(args ...string) (string, error) {
	argv := append(append([]string{}, p.shell...), "./install.sh", "--root", p.root)
	cmd := exec.Command(argv[0], append(argv[1:], args...)...)
	cmd.Env = append(os.Environ(), "PATH="+p.bin+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	return strings.ReplaceAll(string(out), p.root, ""), err
}

func (p place) install(t *testing.T, args ...string) string {
	t.Helper()
	said, err := p.run(append([]string{"--from", p.release}, args...)...)
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return said
}

func (p place) holds(t *testing.T, name, want string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.root, name))
	if err != nil || !strings.Contains(string(text), want) {
		t.Errorf("%s: got %q, %v, want %q in it", name, text, err, want)
	}
}

// left lists the files below the root.
func (p place) left(t *testing.T) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(p.root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, strings.TrimPrefix(path, p.root+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

// shells are those that routers and gateways have.
func shells(t *testing.T, test func(*testing.T, place)) {
	t.Run("sh", func(t *testing.T) { test(t, newPlace(t, "sh")) })
	t.Run("busybox", func(t *testing.T) {
		if _, err := exec.LookPath("busybox"); err != nil {
			t.Skip("busybox is not installed: make deps")
		}
		test(t, newPlace(t, "busybox", "sh"))
	})
}

func TestInstallingAgainChangesNothingAndAnUpgradeOnlyTheProgram(t *testing.T) {
	shells(t, func(t *testing.T, p place) {
		if said := p.install(t); !strings.Contains(said, "next: ratchetd enroll") {
			t.Errorf("got %s", said)
		}
		p.holds(t, "usr/local/bin/ratchetd", "program for amd64")
		p.holds(t, "etc/systemd/system/ratchetd.service", "ExecStart=/usr/local/libexec/ratchetd/ratchetd-start /usr/local/bin/ratchetd run")
		p.holds(t, "etc/ratchet/ratchet.toml", "ratchetd enroll")
		if link, err := os.Readlink(filepath.Join(p.root, "etc/systemd/system/multi-user.target.wants/ratchetd.service")); link != "/etc/systemd/system/ratchetd.service" {
			t.Errorf("got %q, %v", link, err)
		}
		if said := p.install(t); !strings.HasSuffix(said, "nothing was changed: all is as it should be\n") {
			t.Errorf("got %s", said)
		}
		p.put(t, filepath.Join(p.root, "etc/ratchet/ratchet.toml"), "# the owner's\n")
		p.put(t, filepath.Join(p.release, "ratchetd-linux-amd64"), "version 2")
		p.sum(t)
		if said := p.install(t); strings.Count(said, "wrote ") != 1 {
			t.Errorf("got %s", said)
		}
		p.holds(t, "usr/local/bin/ratchetd", "version 2")
		p.holds(t, "etc/ratchet/ratchet.toml", "# the owner's")
		if _, err := p.run("--uninstall"); err != nil {
			t.Error(err)
		}
		if got, want := p.left(t), "bin/sh etc/ratchet/ratchet.toml"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if said, err := p.run("--uninstall", "--purge"); err != nil || p.left(t) != "bin/sh" {
			t.Errorf("got %s, %v, left %s", said, err, p.left(t))
		}
	})
}

func TestACutInstallationIsFinishedByTheNext(t *testing.T) {
	shells(t, func(t *testing.T, p place) {
		p.install(t)
		p.put(t, filepath.Join(p.root, "usr/local/libexec/ratchetd/unfinished"), "")
		if said := p.install(t); strings.Contains(said, "nothing was changed") {
			t.Errorf("got %s", said)
		}
		if strings.Contains(p.left(t), "unfinished") {
			t.Errorf("got %s", p.left(t))
		}
	})
}

// The launcher of an older release lay where an owner may have told the policy
// that commands lie; what is the owner's own there stays.
func TestTheLauncherLeavesTheFolderOfAnOlderRelease(t *testing.T) {
	shells(t, func(t *testing.T, p place) {
		old := filepath.Join(p.root, "usr/local/lib/ratchet")
		for _, own := range []string{"", "own"} {
			p.put(t, filepath.Join(old, "ratchetd-start"), "")
			p.put(t, filepath.Join(old, "unfinished"), "")
			if own != "" {
				p.put(t, filepath.Join(old, own), "")
			}
			if said := p.install(t); !strings.Contains(said, "removed /usr/local/lib/ratchet/ratchetd-start") {
				t.Errorf("got %s", said)
			}
			if files, err := os.ReadDir(old); own == "" && !os.IsNotExist(err) || own != "" && (len(files) != 1 || files[0].Name() != own) {
				t.Errorf("got %v, %v, want %q", files, err, own)
			}
		}
	})
}

func TestOpenRCHasItsScript(t *testing.T) {
	p := newPlace(t, "sh")
	if err := os.RemoveAll(filepath.Join(p.root, "usr")); err != nil {
		t.Fatal(err)
	}
	p.put(t, filepath.Join(p.root, "sbin/openrc-run"), "")
	p.install(t)
	p.holds(t, "etc/init.d/ratchetd", "command_args=\"/usr/local/bin/ratchetd run --syslog\"\n")
	if out, err := exec.Command("sh", "-n", filepath.Join(p.root, "etc/init.d/ratchetd")).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestTheProgramIsThatOfTheProcessor(t *testing.T) {
	p := newPlace(t, "sh")
	for _, m := range []struct {
		kernel      string
		bits, order byte
		want        string
	}{
		{"x86_64", 2, 1, "amd64"}, {"x86_64", 1, 1, "386"}, {"i686", 1, 1, "386"},
		{"aarch64", 2, 1, "arm64"}, {"aarch64", 1, 1, "armv7"}, {"armv7l", 1, 1, "armv7"},
		{"mips", 1, 1, "mipsle"}, {"mips", 1, 2, "mips"},
	} {
		p.machine(t, m.kernel, m.bits, m.order)
		p.install(t)
		p.holds(t, "usr/local/bin/ratchetd", "program for "+m.want)
	}
	p.machine(t, "s390x", 2, 2)
	if said, err := p.run("--from", p.release); err == nil || !strings.Contains(said, "there is no ratchetd for s390x") {
		t.Errorf("got %s, %v", said, err)
	}
}

func TestNothingIsInstalledThatNobodyVouchesFor(t *testing.T) {
	shells(t, func(t *testing.T, p place) {
		before := p.left(t)
		refuse := func(want string, args ...string) {
			t.Helper()
			said, err := p.run(args...)
			if err == nil || !strings.Contains(said, want) || p.left(t) != before {
				t.Errorf("got %s, %v, and %s; want %s", said, err, p.left(t), want)
			}
		}
		refuse("SHA256SUMS.minisig is missing", "--from", p.release, "--key", "RWQ")
		p.put(t, filepath.Join(p.release, "ratchetd.service"), "another")
		refuse("is not what SHA256SUMS says", "--from", p.release)
		p.put(t, filepath.Join(p.release, "ratchetd-start"), "another")
		refuse("is not what SHA256SUMS says", "--from", p.release)
		p.put(t, filepath.Join(p.release, "ratchetd-linux-amd64"), "another")
		refuse("is not what SHA256SUMS says", "--from", p.release)
		p.put(t, filepath.Join(p.release, "mine"), "another")
		refuse("SHA256SUMS does not name mine", "--from", filepath.Join(p.release, "mine"))
		refuse("nowhere is missing", "--from", "nowhere")
		alone := filepath.Join(t.TempDir(), "ratchetd")
		p.put(t, alone, "mine")
		refuse("nothing vouches for", "--from", alone)
		if said, err := p.run("--from", alone, "--unverified"); err != nil {
			t.Errorf("%v: %s", err, said)
		}
		p.holds(t, "usr/local/bin/ratchetd", "mine")
	})
}

func TestOnlyTheRightKeyHasSigned(t *testing.T) {
	if _, err := exec.LookPath("minisign"); err != nil {
		t.Skip("minisign is not installed: make deps")
	}
	p := newPlace(t, "sh")
	var public [2]string
	for i := range public {
		dir := t.TempDir()
		out, err := exec.Command("minisign", "-GWp", dir+"/p", "-s", dir+"/s").CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		text, err := os.ReadFile(dir + "/p")
		if err != nil {
			t.Fatal(err)
		}
		public[i] = strings.Split(string(text), "\n")[1]
		if i == 0 {
			if out, err := exec.Command("minisign", "-Sm", p.release+"/SHA256SUMS", "-s", dir+"/s").CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
	}
	if said, err := p.run("--from", p.release, "--key", public[1]); err == nil || !strings.Contains(said, "was not signed by") {
		t.Errorf("got %s, %v", said, err)
	}
	if said := p.install(t, "--key", public[0]); strings.Contains(said, "not verified") {
		t.Errorf("got %s", said)
	}
}
