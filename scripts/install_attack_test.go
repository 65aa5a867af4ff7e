package scripts

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// signed makes the place one whose SHA256SUMS is signed: a stand-in for minisign
// takes exactly what it holds now, under the name that it has there.
func (p place) signed(t *testing.T) {
	t.Helper()
	sums := filepath.Join(p.release, "SHA256SUMS")
	text, err := os.ReadFile(sums)
	if err != nil {
		t.Fatal(err)
	}
	p.put(t, sums+".minisig", "by the key")
	p.put(t, filepath.Join(p.bin, "good"), string(text))
	p.put(t, filepath.Join(p.bin, "minisign"), fmt.Sprintf("#!/bin/sh\n[ \"$1 $3 $4\" = '-Vqm -P KEY' ] && [ -f \"$2.minisig\" ] && cmp -s \"$2\" %s/good\n", p.bin))
}

// swapsAfter has the tool, when it was called so often, exchange all of the release
// for another one, whose sums are right.
func (p place) swapsAfter(t *testing.T, tool string, calls int) {
	t.Helper()
	evil := t.TempDir()
	other := place{release: evil}
	for _, name := range []string{"ratchetd-linux-amd64", "ratchetd-start", "ratchetd.service"} {
		other.put(t, filepath.Join(evil, name), "evil "+name)
	}
	other.sum(t)
	real := ""
	for _, dir := range []string{p.bin, "/usr/bin", "/bin"} {
		if _, err := os.Stat(filepath.Join(dir, tool)); err == nil {
			real = filepath.Join(dir, tool)
			break
		}
	}
	if real == filepath.Join(p.bin, tool) {
		if err := os.Rename(real, real+".real"); err != nil {
			t.Fatal(err)
		}
		real += ".real"
	}
	p.put(t, filepath.Join(p.bin, tool), fmt.Sprintf(`#!/bin/sh
%[1]s "$@"
status=$?
echo >>%[2]s/calls
[ "$(wc -l <%[2]s/calls)" != %[3]d ] || /bin/cp %[2]s/* %[4]s
exit $status
`, real, evil, calls, p.release))
}

// TestWhatIsSwappedBehindTheVerificationIsNotInstalled: who can write to the folder
// of the release, such as /tmp or a stick, must not get anything of theirs installed,
// whenever they exchange it.
func TestWhatIsSwappedBehindTheVerificationIsNotInstalled(t *testing.T) {
	for _, tool := range []string{"minisign", "sha256sum", "cp", "cmp", "awk", "chmod", "mkdir", "sync", "mv"} {
		for calls := 1; calls <= 5; calls++ {
			p := newPlace(t, "sh")
			p.signed(t)
			p.swapsAfter(t, tool, calls)
			said, err := p.run("--from", p.release, "--key", "KEY")
			_ = filepath.WalkDir(p.root, func(path string, d fs.DirEntry, _ error) error {
				if text, _ := os.ReadFile(path); !d.IsDir() && strings.Contains(string(text), "evil") {
					t.Errorf("%s %d: %s is evil: %v\n%s", tool, calls, path, err, said)
				}
				return nil
			})
			if err == nil {
				p.holds(t, "usr/local/bin/ratchetd", "program for amd64")
			}
		}
	}
}

// TestWithAKeyNothingUnsignedIsInstalled: this script lies beside its sources, which
// nobody has signed.
func TestWithAKeyNothingUnsignedIsInstalled(t *testing.T) {
	for name, c := range map[string]struct {
		attack func(t *testing.T, p place)
		args   []string
		want   string
	}{
		"the launcher is missing": {func(t *testing.T, p place) { p.remove(t, "ratchetd-start") }, nil, "ratchetd-start is missing in"},
		"the unit is missing":     {func(t *testing.T, p place) { p.remove(t, "ratchetd.service") }, nil, "ratchetd.service is missing in"},
		"the sums are missing":    {func(t *testing.T, p place) { p.remove(t, "SHA256SUMS") }, nil, "SHA256SUMS is missing in"},
		"the signature is missing": {func(t *testing.T, p place) { p.remove(t, "SHA256SUMS.minisig") }, nil,
			"SHA256SUMS.minisig is missing in"},
		"all sums are another's": {func(t *testing.T, p place) {
			p.put(t, filepath.Join(p.release, "ratchetd-linux-amd64"), "evil")
			p.sum(t)
		}, nil, "was not signed by KEY"},
		"another launcher": {func(t *testing.T, p place) { p.put(t, filepath.Join(p.release, "ratchetd-start"), "evil") }, nil, "is not what SHA256SUMS says"},
		"a launcher that is not in the sums": {func(t *testing.T, p place) {
			text, err := os.ReadFile(filepath.Join(p.release, "SHA256SUMS"))
			if err != nil {
				t.Fatal(err)
			}
			p.put(t, filepath.Join(p.release, "SHA256SUMS"), strings.ReplaceAll(string(text), "  ratchetd-start\n", "  ratchetd-starter\n"))
			p.signed(t)
		}, nil, "SHA256SUMS does not name ratchetd-start"},
		"a link to another file": {func(t *testing.T, p place) {
			p.put(t, filepath.Join(p.bin, "evil"), "evil")
			p.remove(t, "ratchetd-start")
			if err := os.Symlink(filepath.Join(p.bin, "evil"), filepath.Join(p.release, "ratchetd-start")); err != nil {
				t.Fatal(err)
			}
		}, nil, "is not what SHA256SUMS says"},
		"a link to nothing": {func(t *testing.T, p place) {
			p.remove(t, "ratchetd.service")
			if err := os.Symlink("nothing", filepath.Join(p.release, "ratchetd.service")); err != nil {
				t.Fatal(err)
			}
		}, nil, "ratchetd.service is missing in"},
		"a pipe": {func(t *testing.T, p place) {
			p.remove(t, "SHA256SUMS")
			if err := syscall.Mkfifo(filepath.Join(p.release, "SHA256SUMS"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, nil, "SHA256SUMS is missing in"},
		"both words": {func(*testing.T, place) {}, []string{"--unverified"}, "--key and --unverified"},
	} {
		t.Run(name, func(t *testing.T) {
			shells(t, func(t *testing.T, p place) {
				p.signed(t)
				c.attack(t, p)
				before := p.left(t)
				said, err := p.run(append([]string{"--from", p.release, "--key", "KEY"}, c.args...)...)
				if err == nil || !strings.Contains(said, c.want) || p.left(t) != before {
					t.Errorf("got %s, %v, and %s; want %s", said, err, p.left(t), c.want)
				}
			})
		})
	}
}

// TestAFileThatLiesInTheWayIsNotWrittenThrough: what is put in the place of the new
// file beforehand, as a link to another, is taken away.
func TestAFileThatLiesInTheWayIsNotWrittenThrough(t *testing.T) {
	p := newPlace(t, "sh")
	victim := filepath.Join(p.bin, "victim")
	p.put(t, victim, "untouched")
	p.put(t, filepath.Join(p.root, "usr/local/bin/x"), "")
	if err := os.Symlink(victim, filepath.Join(p.root, "usr/local/bin/ratchetd.new")); err != nil {
		t.Fatal(err)
	}
	p.install(t)
	p.holds(t, "usr/local/bin/ratchetd", "program for amd64")
	if text, err := os.ReadFile(victim); err != nil || string(text) != "untouched" {
		t.Errorf("got %q, %v", text, err)
	}
}

func (p place) remove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(p.release, name)); err != nil {
		t.Fatal(err)
	}
}
