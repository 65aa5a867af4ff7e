package steptest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor/step/packages"
)

// AptRoot is a system of its own below a folder, for the real apt and dpkg.
type AptRoot struct {
	*testing.T
	Dir  string
	Kind packages.Kind
}

// NewAptRoot is a root with the packages lib and tool, which needs lib.
func NewAptRoot(t *testing.T) AptRoot {
	for _, program := range []string{"apt-get", "dpkg", "dpkg-query", "dpkg-deb"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("this test needs a Debian with %s", program)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("this test needs root: dpkg installs for nobody else")
	}
	r := AptRoot{T: t, Dir: t.TempDir()}
	for _, d := range []string{"etc/apt/preferences.d", "etc/apt/apt.conf.d", "repo", "build", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "var/log/apt"} {
		if err := os.MkdirAll(filepath.Join(r.Dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r.Put("var/lib/dpkg/status", "")
	r.Put("etc/apt/sources.list", "deb [trusted=yes] file:"+r.Dir+"/repo ./\n")
	r.Kind = packages.Kind{
		Apt: []string{"apt-get", "-o", "Dir=" + r.Dir, "-o", "Dir::State::status=" + r.Dir + "/var/lib/dpkg/status",
			"-o", "Dpkg::Options::=--root=" + r.Dir, "-o", "APT::Sandbox::User=root", "-o", "Dir::Log=" + r.Dir + "/var/log/apt"},
		Dpkg:      []string{"dpkg", "--root=" + r.Dir},
		DpkgQuery: []string{"dpkg-query", "--root=" + r.Dir},
	}
	r.Build("lib", "1", "")
	r.Build("tool", "1", "lib")
	return r
}

// Put writes a file below the root.
func (r AptRoot) Put(name, text string) {
	r.Helper()
	path := filepath.Join(r.Dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		r.Fatal(err)
	}
}

// Build puts a package with one conffile into the repository.
func (r AptRoot) Build(name, version, needs string) {
	r.Helper()
	if needs != "" {
		needs = "Depends: " + needs + "\n"
	}
	r.BuildWith(name, version, "all", needs, 0)
}

// BuildWith is Build for an architecture, with lines of control, and for so many
// bytes that no compression makes less of.
func (r AptRoot) BuildWith(name, version, arch, lines string, size int) {
	r.Helper()
	tree := fmt.Sprintf("build/%s-%s-%s", name, version, arch)
	control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: Test <test@example.org>\n%sDescription: a test\n", name, version, arch, lines)
	r.Put(tree+"/DEBIAN/control", control)
	r.Put(tree+"/DEBIAN/conffiles", "/etc/"+name+".conf\n")
	r.Put(tree+"/etc/"+name+".conf", "of version "+version+"\n")
	noise := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise) // it never fails
	r.Put(tree+"/usr/share/"+name, string(noise))
	deb := filepath.Join(r.Dir, "repo", name+"_"+version+"_"+arch+".deb")
	r.Exec("dpkg-deb", "--root-owner-group", "-b", filepath.Join(r.Dir, tree), deb)
	if err := os.RemoveAll(filepath.Join(r.Dir, tree)); err != nil {
		r.Fatal(err)
	}
	content, err := os.ReadFile(deb)
	if err != nil {
		r.Fatal(err)
	}
	index, _ := os.ReadFile(filepath.Join(r.Dir, "repo/Packages"))
	r.Put("repo/Packages", fmt.Sprintf("%s%sFilename: ./%s\nSize: %d\nSHA256: %x\n\n", index, control, filepath.Base(deb), len(content), sha256.Sum256(content)))
}

// Exec runs a program that must succeed.
func (r AptRoot) Exec(argv ...string) {
	r.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		r.Fatalf("%s: %v: %s", strings.Join(argv, " "), err, out)
	}
}

// Step runs a step to its end, and returns it for its undo.
func (r AptRoot) Step(with string) *Attempt {
	r.Helper()
	a := NewAttempt(r.T, "%s", with)
	if err := a.Run(r.Context(), r.Kind); err != nil {
		r.Fatalf("%s: %v\n%s%s", with, err, a.Out.String(), a.ErrOut.String())
	}
	return a
}

// Undo takes a step back.
func (r AptRoot) Undo(a *Attempt) {
	r.Helper()
	if err := a.Undo(r.Kind); err != nil {
		r.Fatalf("undo of %s: %v\n%s%s", a.With, err, a.Out.String(), a.ErrOut.String())
	}
}

// Want asserts what is installed, such as "lib 1, tool 2".
func (r AptRoot) Want(installed string) {
	r.Helper()
	out, err := exec.Command("dpkg-query", "--root="+r.Dir, "-W", "-f", "${Package} ${Version} ${db:Status-Status}, ").Output()
	got := strings.TrimSuffix(strings.ReplaceAll(string(out), " installed", ""), ", ")
	if err != nil || got != installed {
		r.Errorf("got %q, %v, want %q", got, err, installed)
	}
}
