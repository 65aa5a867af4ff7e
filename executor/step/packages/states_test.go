package packages_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ratchetd/ratchet/executor/step/steptest"
)

func needsE2E(t *testing.T) {
	t.Helper()
	if os.Getenv("RATCHET_E2E") == "" {
		t.Skip("set RATCHET_E2E=1 to run this")
	}
}

// statesRoot has lib and tool installed, of which lib is a dependency, and more to be had.
func statesRoot(t *testing.T) steptest.AptRoot {
	needsE2E(t)
	if runtime.GOARCH != "amd64" {
		t.Skip("amd64 is the device's own architecture here")
	}
	r := steptest.NewAptRoot(t)
	r.Kind.Apt = append(r.Kind.Apt, "-o", "APT::Architectures::=amd64", "-o", "APT::Architectures::=i386")
	r.Put("var/lib/dpkg/arch", "amd64\ni386\n")
	r.Step(`{"manager":"apt","refresh":true,"install":["tool=1"]}`)
	r.Build("tool", "2", "lib")
	r.BuildWith("foe", "1", "all", "Conflicts: lib\n", 0)
	r.BuildWith("solo", "1", "all", "Provides: one\n", 0)
	r.BuildWith("mta-a", "1", "all", "Provides: mta\n", 0)
	r.BuildWith("mta-b", "1", "all", "Provides: mta\n", 0)
	r.BuildWith("dual", "1", "i386", "Multi-Arch: same\n", 0)
	r.BuildWith("dual", "1", "amd64", "Multi-Arch: same\n", 0)
	r.BuildWith("alien", "1", "i386", "", 0)
	r.Step(`{"manager":"apt","refresh":true}`)
	return r
}

// Each state that dpkg knows, and what a step makes of it.
func TestE2EEveryStateOfDpkg(t *testing.T) {
	r := statesRoot(t)
	saved := filepath.Join(t.TempDir(), "saved")
	db, apt := filepath.Join(r.Dir, "var/lib/dpkg"), filepath.Join(r.Dir, "var/lib/apt")
	r.Exec("sh", "-c", "mkdir "+saved+" && cp -a "+db+" "+apt+" "+saved)
	for _, tt := range []struct{ name, state, with, then, undone, says string }{
		{"reinstreq half-installed, installed", "install reinstreq half-installed", `"install":["tool"]`, "lib 1, tool 1", "", ""},
		{"reinstreq half-installed, removed", "install reinstreq half-installed", `"remove":["tool"]`, "lib 1, tool 1 config-files", "lib 1, tool 1", ""},
		{"reinstreq half-installed, upgraded", "install reinstreq half-installed", `"upgrade":["tool"]`, "lib 1, tool 2", "lib 1, tool 1", ""},
		{"reinstreq half-installed, another", "install reinstreq half-installed", `"install":["solo"]`, "lib 1, solo 1, tool 1", "lib 1, solo 1 config-files, tool 1", ""},
		{"half-installed, installed", "install ok half-installed", `"install":["tool"]`, "lib 1, tool 1", "", ""},
		{"half-installed, removed", "install ok half-installed", `"remove":["tool"]`, "lib 1, tool 1 config-files", "lib 1, tool 1", ""},
		{"half-configured, installed", "install ok half-configured", `"install":["tool"]`, "lib 1, tool 1", "", ""},
		{"half-configured, removed", "install ok half-configured", `"remove":["tool"]`, "lib 1, tool 1 config-files", "lib 1, tool 1", ""},
		{"unpacked, installed", "install ok unpacked", `"install":["tool"]`, "lib 1, tool 1", "", ""},
		{"unpacked, removed", "install ok unpacked", `"remove":["tool"]`, "lib 1, tool 1 config-files", "lib 1, tool 1", ""},
		{"unpacked, upgraded", "install ok unpacked", `"upgrade":["tool"]`, "lib 1, tool 2", "lib 1, tool 1", ""},
		{"triggers-awaited, installed", "install ok triggers-awaited", `"install":["tool"]`, "lib 1, tool 1", "", ""},
		{"triggers-pending, installed", "install ok triggers-pending", `"install":["tool"]`, "lib 1, tool 1", "", ""},
		{"triggers-pending, removed", "install ok triggers-pending", `"remove":["tool"]`, "lib 1, tool 1 config-files", "lib 1, tool 1", ""},
		{"hold, installed", "hold ok installed", `"install":["tool"]`, "lib 1, tool 1", "", ""},
		{"hold, removed", "hold ok installed", `"remove":["tool"]`, "", "lib 1, tool 1", "removing tool: apt-get: exit status 100: E: Held packages were changed"},
		{"hold, upgraded", "hold ok installed", `"upgrade":["tool"]`, "", "lib 1, tool 1", "upgrading: tool stays at 1, though 2 can be had: it is on hold"},
		{"hold, all upgraded", "hold ok installed", `"upgrade":true`, "", "lib 1, tool 1", "upgrading: tool stays at 1, though 2 can be had: it is on hold"},
		{"deinstall, installed", "deinstall ok installed", `"install":["tool"]`, "lib 1, tool 1", "", ""},
		{"config-files, installed", "deinstall ok config-files", `"install":["tool=1"]`, "lib 1, tool 1", "lib 1, tool 1 config-files", ""},
		{"config-files, removed", "deinstall ok config-files", `"remove":["tool"]`, "lib 1, tool 1 config-files", "", ""},
		{"config-files, upgraded", "deinstall ok config-files", `"upgrade":["tool"]`, "", "lib 1, tool 1 config-files", "upgrade: tool is not installed"},
		{"a foreign architecture", "", `"install":["dual:i386"]`, "dual 1, lib 1, tool 1", "dual 1 config-files, lib 1, tool 1", ""},
		{"the device's own architecture", "", `"install":["dual:amd64"]`, "dual 1, lib 1, tool 1", "dual 1 config-files, lib 1, tool 1", ""},
		{"a foreign one without its name", "", `"install":["alien"]`, "", "alien 1 config-files, lib 1, tool 1", "alien is not installed, although apt ended well: see its output (alien:i386 is: name it so)"},
		{"a virtual package of one", "", `"install":["one"]`, "lib 1, solo 1, tool 1", "lib 1, solo 1 config-files, tool 1", ""},
		{"a virtual package of two", "", `"install":["mta"]`, "", "lib 1, tool 1", "Package mta is a virtual package provided by: mta-b 1; mta-a 1; E: Package 'mta' has no installation candidate"},
		{"a dependency that is asked for", "", `"install":["lib"]`, "lib 1, tool 1", "", ""},
		{"one that removes others", "", `"install":["foe"]`, "", "lib 1, tool 1", "installing foe: it would remove lib, tool, which the step does not name: allowRemove: true lets it"},
		{"one that may remove others", "", `"install":["foe"],"allowRemove":true`, "foe 1, lib 1 config-files, tool 1 config-files", "foe 1 config-files, lib 1, tool 1", ""},
		{"what another needs", "", `"remove":["lib"]`, "", "lib 1, tool 1", "removing lib: it would remove tool"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.T = t
			r.Exec("sh", "-c", "rm -r "+db+" "+apt+" && cp -a "+saved+"/dpkg "+db+" && cp -a "+saved+"/apt "+apt)
			if tt.state != "" {
				r.Exec("sed", "-i", "/^Package: tool$/,/^$/s/^Status: .*/Status: "+tt.state+triggers(tt.state)+"/", db+"/status")
			}
			if tt.undone == "" {
				tt.undone = "lib 1, tool 1"
			}
			a := steptest.NewAttempt(t, `{"manager":"apt",%s}`, tt.with)
			err := a.Run(t.Context(), r.Kind)
			if tt.says != "" {
				steptest.WantError(t, err, tt.says)
			} else {
				if err != nil {
					t.Errorf("%v\n%s%s", err, a.Out.String(), a.ErrOut.String())
				}
				r.Want(tt.then)
				if got := auto(r); strings.Contains(tt.with, `["lib"]`) && got != "" {
					t.Errorf("%q is there as a dependency, want nothing", got)
				}
			}
			if strings.HasPrefix(tt.name, "config-files, removed") {
				tt.undone = tt.then
			}
			r.Undo(a)
			r.Want(tt.undone)
			if got := auto(r); got != "lib" {
				t.Errorf("%q is there as a dependency after the undo, want lib", got)
			}
		})
	}
}

// triggers is the field that a state cannot be without.
func triggers(state string) string {
	switch {
	case strings.HasSuffix(state, "awaited"):
		return `\nTriggers-Awaited: lib`
	case strings.HasSuffix(state, "pending"):
		return `\nTriggers-Pending: some`
	}
	return ""
}

func auto(r steptest.AptRoot) string {
	argv := append([]string{"apt-mark"}, r.Kind.Apt[1:]...)
	out, _ := exec.Command(argv[0], append(argv[1:], "showauto")...).Output()
	return strings.TrimSpace(string(out))
}

// cutInUnpack has dpkg killed when it has read half of what it unpacks.
func cutInUnpack(t *testing.T, r steptest.AptRoot) []string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"dpkg-deb": "#!/bin/sh\ncase \" $* \" in\n*' --fsys-tarfile '*) /usr/bin/dpkg-deb \"$@\" | head -c 100000; kill -KILL $PPID ;;\n*) exec /usr/bin/dpkg-deb \"$@\" ;;\nesac\n",
		"apt-get":  "#!/bin/sh\nexec /usr/bin/apt-get -o DPkg::Path=" + dir + ":$PATH \"$@\"\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"apt-mark", "apt-cache"} {
		if err := os.Symlink("/usr/bin/"+name, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return append([]string{filepath.Join(dir, "apt-get")}, r.Kind.Apt[1:]...)
}

func status(r steptest.AptRoot) string {
	out, _ := exec.Command("dpkg-query", "--root="+r.Dir, "-W", "-f", "${Status} ${Package} ${Version}, ").Output()
	return strings.TrimSuffix(string(out), ", ")
}

// The power goes while dpkg unpacks: the step that goes on, and the undo, end well.
func TestE2EACutUnpackIsUnpackedAgain(t *testing.T) {
	for _, tt := range []struct{ before, then, undone string }{
		{"", "big 2, lib 1, tool 1", "lib 1, tool 1"},
		{"big=1", "big 2, lib 1, tool 1", "big 1, lib 1, tool 1"},
	} {
		for _, undo := range []bool{false, true} {
			r := statesRoot(t)
			r.BuildWith("big", "1", "all", "", 300_000)
			r.BuildWith("big", "2", "all", "", 300_000)
			r.Step(`{"manager":"apt","refresh":true}`)
			if tt.before != "" {
				r.Step(`{"manager":"apt","install":["` + tt.before + `"]}`)
			}
			a := steptest.NewAttempt(t, `{"manager":"apt","install":["big=2"]}`)
			cut := r.Kind
			cut.Apt = cutInUnpack(t, r)
			t.Logf("cut: %v", a.Run(t.Context(), cut))
			if got := status(r); !strings.Contains(got, "reinstreq half-installed big") {
				t.Fatalf("it was not cut: dpkg says %s", got)
			}
			t.Logf("dpkg says %s", status(r))
			want := tt.then
			if undo {
				want = tt.undone
				r.Undo(a)
			} else if err := a.Run(t.Context(), r.Kind); err != nil {
				t.Errorf("%v\n%s%s", err, a.Out.String(), a.ErrOut.String())
			}
			t.Logf("undo %v: dpkg says %s", undo, status(r))
			r.Want(want)
		}
	}
}

// What apt's exit status does not tell of a source or of an upgrade.
func TestE2EAptIsReadBack(t *testing.T) {
	r := statesRoot(t)
	fails := func(with, want string) {
		t.Helper()
		a := steptest.NewAttempt(t, "%s", with)
		steptest.WantError(t, a.Run(t.Context(), r.Kind), want)
		r.Undo(a)
		r.Want("lib 1, tool 1")
	}
	list := "deb [trusted=yes] file:" + r.Dir + "/repo ./\n"
	r.Put("etc/apt/sources.list", list+"deb [trusted=yes] http://127.0.0.1:1/ ./\n")
	fails(`{"manager":"apt","refresh":true}`, "refreshing the lists: apt-get: exit status 100: E: Failed to fetch http://127.0.0.1:1/")
	r.Put("etc/apt/sources.list", list)
	r.Put("etc/apt/preferences.d/pin", "Package: tool\nPin: version 1\nPin-Priority: 1001\n")
	fails(`{"manager":"apt","refresh":true,"upgrade":["tool"]}`, "upgrading: tool stays at 1, though 2 can be had: apt's preferences pin it")
	fails(`{"manager":"apt","upgrade":true}`, "apt's preferences pin it")
	r.Put("etc/apt/preferences.d/pin", "Package: tool\nPin: version 2\nPin-Priority: 100\n") // as backports have it
	r.Undo(r.Step(`{"manager":"apt","upgrade":["tool"]}`))
	r.Put("etc/apt/preferences.d/pin", "")
	r.Put("repo/Packages", "")
	r.Step(`{"manager":"apt","refresh":true}`)
	fails(`{"manager":"apt","upgrade":["tool"]}`, "upgrading: no source has tool: refresh: true fetches the lists")
}

// A disk that is full in the middle leaves nothing that apt would stumble over.
func TestE2EAFullDiskLeavesAptAsItWas(t *testing.T) {
	for _, before := range []string{"", "big=1"} {
		r := statesRoot(t)
		r.BuildWith("big", "1", "all", "", 1000)
		r.BuildWith("big", "2", "all", "Depends: solo\n", 3_000_000)
		r.Step(`{"manager":"apt","refresh":true}`)
		want := "lib 1, tool 1"
		if before != "" {
			want = "big 1, " + want
			r.Step(`{"manager":"apt","install":["` + before + `"]}`)
		}
		r.Want(want)
		usr := filepath.Join(r.Dir, "usr")
		if err := unix.Mount("tmpfs", usr, "tmpfs", 0, "size=1m"); err != nil {
			t.Skipf("nothing can be mounted here: %v", err)
		}
		t.Cleanup(func() { _ = unix.Unmount(usr, unix.MNT_DETACH) })
		a := steptest.NewAttempt(t, `{"manager":"apt","install":["big=2"]}`)
		err := a.Run(t.Context(), r.Kind)
		steptest.WantError(t, err, "installing big=2: ", "No space left on device")
		t.Logf("%v\ndpkg says %s", err, status(r))
		r.Undo(a)
		t.Logf("after the undo dpkg says %s", status(r))
		got := status(r)
		if strings.Contains(got, "reinstreq") || strings.Contains(got, "half-") || strings.Contains(got, "unpacked") {
			t.Errorf("dpkg says %s", got)
		}
		r.Undo(r.Step(`{"manager":"apt","install":["mta-a"]}`))
	}
}
