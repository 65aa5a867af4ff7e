package step_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor/step"
)

// aptRoot is a system of its own below a folder, for the real apt and dpkg.
type aptRoot struct {
	*testing.T
	dir  string
	kind step.Package
}

func newAptRoot(t *testing.T) aptRoot {
	for _, program := range []string{"apt-get", "dpkg", "dpkg-query", "dpkg-deb"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("this test needs a Debian with %s", program)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("this test needs root: dpkg installs for nobody else")
	}
	r := aptRoot{T: t, dir: t.TempDir()}
	for _, d := range []string{"etc/apt", "repo", "build", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "var/log/apt"} {
		if err := os.MkdirAll(filepath.Join(r.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r.put("var/lib/dpkg/status", "")
	r.put("etc/apt/sources.list", "deb [trusted=yes] file:"+r.dir+"/repo ./\n")
	r.kind = step.Package{
		Apt: []string{"apt-get", "-o", "Dir=" + r.dir, "-o", "Dir::State::status=" + r.dir + "/var/lib/dpkg/status",
			"-o", "Dpkg::Options::=--root=" + r.dir, "-o", "APT::Sandbox::User=root", "-o", "Dir::Log=" + r.dir + "/var/log/apt"},
		Dpkg:      []string{"dpkg", "--root=" + r.dir},
		DpkgQuery: []string{"dpkg-query", "--root=" + r.dir},
	}
	r.build("lib", "1", "")
	r.build("tool", "1", "lib")
	return r
}

func (r aptRoot) put(name, text string) {
	r.Helper()
	path := filepath.Join(r.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		r.Fatal(err)
	}
}

// build puts a package with one conffile into the repository.
func (r aptRoot) build(name, version, needs string) {
	r.Helper()
	if needs != "" {
		needs = "Depends: " + needs + "\n"
	}
	tree := fmt.Sprintf("build/%s-%s", name, version)
	control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: Test <test@example.org>\n%sDescription: a test\n", name, version, needs)
	r.put(tree+"/DEBIAN/control", control)
	r.put(tree+"/DEBIAN/conffiles", "/etc/"+name+".conf\n")
	r.put(tree+"/etc/"+name+".conf", "of version "+version+"\n")
	deb := filepath.Join(r.dir, "repo", name+"_"+version+"_all.deb")
	r.exec("dpkg-deb", "--root-owner-group", "-b", filepath.Join(r.dir, tree), deb)
	content, err := os.ReadFile(deb)
	if err != nil {
		r.Fatal(err)
	}
	index, _ := os.ReadFile(filepath.Join(r.dir, "repo/Packages"))
	r.put("repo/Packages", fmt.Sprintf("%s%sFilename: ./%s\nSize: %d\nSHA256: %x\n\n", index, control, filepath.Base(deb), len(content), sha256.Sum256(content)))
}

func (r aptRoot) exec(argv ...string) {
	r.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		r.Fatalf("%s: %v: %s", strings.Join(argv, " "), err, out)
	}
}

// step runs a step to its end, and returns it for its undo.
func (r aptRoot) step(with string) *attempt {
	r.Helper()
	a := newAttempt(r.T, "%s", with)
	if err := a.run(r.Context(), r.kind); err != nil {
		r.Fatalf("%s: %v\n%s%s", with, err, a.out.String(), a.err.String())
	}
	return a
}

func (r aptRoot) undo(a *attempt) {
	r.Helper()
	if err := a.undo(r.kind); err != nil {
		r.Fatalf("undo of %s: %v\n%s%s", a.With, err, a.out.String(), a.err.String())
	}
}

// want asserts what is installed, such as "lib 1, tool 2".
func (r aptRoot) want(installed string) {
	r.Helper()
	out, err := exec.Command("dpkg-query", "--root="+r.dir, "-W", "-f", "${Package} ${Version} ${db:Status-Status}, ").Output()
	got := strings.TrimSuffix(strings.ReplaceAll(string(out), " installed", ""), ", ")
	if err != nil || got != installed {
		r.Errorf("got %q, %v, want %q", got, err, installed)
	}
}

func TestAptInstallsUpgradesAndGoesBack(t *testing.T) {
	t.Parallel()
	r := newAptRoot(t)
	first := r.step(`{"manager":"apt","refresh":true,"install":["tool=1"]}`)
	r.want("lib 1, tool 1")
	r.put("etc/tool.conf", "changed by its owner\n")
	r.build("tool", "2", "lib")
	upgrade := r.step(`{"manager":"apt","refresh":true,"upgrade":true}`)
	r.want("lib 1, tool 2")
	wantFile(t, filepath.Join(r.dir, "etc/tool.conf"), []byte("changed by its owner\n"))
	r.undo(upgrade)
	r.want("lib 1, tool 1")
	named := r.step(`{"manager":"apt","upgrade":["tool"]}`)
	r.want("lib 1, tool 2")
	r.undo(named)
	removal := r.step(`{"manager":"apt","remove":["lib"]}`)
	r.want("lib 1 config-files, tool 1 config-files")
	r.undo(removal)
	r.want("lib 1, tool 1")
	wantFile(t, filepath.Join(r.dir, "etc/tool.conf"), []byte("changed by its owner\n"))
	r.undo(first)
	r.want("lib 1 config-files, tool 1 config-files")
}

// TestACutDpkgIsRepaired: dpkg had unpacked a package and not configured it
// when the power went, and another was not even unpacked.
func TestACutDpkgIsRepaired(t *testing.T) {
	t.Parallel()
	r := newAptRoot(t)
	a := newAttempt(t, `{"manager":"apt","install":["tool"]}`)
	r.step(`{"manager":"apt","refresh":true}`)
	r.exec("dpkg", "--root="+r.dir, "--unpack", filepath.Join(r.dir, "repo/lib_1_all.deb"))
	r.want("lib 1 unpacked")
	a.Attempt = 2
	if err := a.run(t.Context(), r.kind); err != nil {
		t.Fatalf("%v\n%s%s", err, a.out.String(), a.err.String())
	}
	r.want("lib 1, tool 1")
}

func TestAptTakesANameForANameOnly(t *testing.T) {
	r := newAptRoot(t)
	r.step(`{"manager":"apt","refresh":true}`)
	for with, want := range map[string]string{
		`{"manager":"apt","install":["t.ol"]}`:   "installing t.ol: apt-get: exit status 100: E: Couldn't find any package",
		`{"manager":"apt","install":["tool+"]}`:  "tool+ is not installed, although apt ended well",
		`{"manager":"apt","install":["tool=3"]}`: "E: Version '3' for 'tool' was not found",
	} {
		a := newAttempt(t, "%s", with)
		wantError(t, a.run(t.Context(), r.kind), want)
		r.undo(a)
	}
	r.step(`{"manager":"apt","remove":["tool","nope"]}`)
}
