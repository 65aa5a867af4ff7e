package packages_test

import (
	"path/filepath"
	"testing"

	"github.com/ratchetd/ratchet/executor/step/steptest"
)

func TestAptInstallsUpgradesAndGoesBack(t *testing.T) {
	t.Parallel()
	r := steptest.NewAptRoot(t)
	first := r.Step(`{"manager":"apt","refresh":true,"install":["tool=1"]}`)
	r.Want("lib 1, tool 1")
	r.Put("etc/tool.conf", "changed by its owner\n")
	r.Build("tool", "2", "lib")
	upgrade := r.Step(`{"manager":"apt","refresh":true,"upgrade":true}`)
	r.Want("lib 1, tool 2")
	steptest.WantFile(t, filepath.Join(r.Dir, "etc/tool.conf"), []byte("changed by its owner\n"))
	r.Undo(upgrade)
	r.Want("lib 1, tool 1")
	named := r.Step(`{"manager":"apt","upgrade":["tool"]}`)
	r.Want("lib 1, tool 2")
	r.Undo(named)
	removal := r.Step(`{"manager":"apt","remove":["lib"],"allowRemove":true}`)
	r.Want("lib 1 config-files, tool 1 config-files")
	r.Undo(removal)
	r.Want("lib 1, tool 1")
	steptest.WantFile(t, filepath.Join(r.Dir, "etc/tool.conf"), []byte("changed by its owner\n"))
	r.Undo(first)
	r.Want("lib 1 config-files, tool 1 config-files")
}

// TestACutDpkgIsRepaired: dpkg had unpacked a package and not configured it
// when the power went, and another was not even unpacked.
func TestACutDpkgIsRepaired(t *testing.T) {
	t.Parallel()
	r := steptest.NewAptRoot(t)
	a := steptest.NewAttempt(t, `{"manager":"apt","install":["tool"]}`)
	r.Step(`{"manager":"apt","refresh":true}`)
	r.Exec("dpkg", "--root="+r.Dir, "--unpack", filepath.Join(r.Dir, "repo/lib_1_all.deb"))
	r.Want("lib 1 unpacked")
	a.Attempt = 2
	if err := a.Run(t.Context(), r.Kind); err != nil {
		t.Fatalf("%v\n%s%s", err, a.Out.String(), a.ErrOut.String())
	}
	r.Want("lib 1, tool 1")
}

func TestAptTakesANameForANameOnly(t *testing.T) {
	r := steptest.NewAptRoot(t)
	r.Step(`{"manager":"apt","refresh":true}`)
	for with, want := range map[string]string{
		`{"manager":"apt","install":["t.ol"]}`:   "installing t.ol: apt-get: exit status 100: E: Unable to locate package t.ol; E: Couldn't find any package",
		`{"manager":"apt","install":["tool+"]}`:  "tool+ is not installed, although apt ended well",
		`{"manager":"apt","install":["tool=3"]}`: "E: Version '3' for 'tool' was not found",
	} {
		a := steptest.NewAttempt(t, "%s", with)
		steptest.WantError(t, a.Run(t.Context(), r.Kind), want)
		r.Undo(a)
	}
	r.Step(`{"manager":"apt","remove":["tool","nope"]}`)
}
