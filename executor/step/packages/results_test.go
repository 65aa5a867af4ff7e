package packages_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor/step/packages"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// A board is a device with files as packages.awk has them.
type board struct {
	*testing.T
	dir  string
	kind packages.Kind
}

// newBoard has this installed and in world, and further files such as "dead" or "room=900".
func newBoard(t *testing.T, installed, world string, more ...string) board {
	t.Helper()
	dir, kind := newPackages(t)
	b := board{t, dir, kind}
	b.put("installed", installed)
	b.put("world", world)
	for _, file := range more {
		name, text, _ := strings.Cut(file, "=")
		b.put(name, text+"\n")
	}
	return b
}

func (b board) put(name, text string) {
	b.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o644); err != nil {
		b.Fatal(err)
	}
}

func (b board) gone(name string) {
	b.Helper()
	if err := os.Remove(filepath.Join(b.dir, name)); err != nil {
		b.Fatal(err)
	}
}

// want asserts what is installed and, unless it is "-", in world.
func (b board) want(what, installed, world string) {
	b.Helper()
	for name, want := range map[string]string{"installed": installed, "world": world} {
		got, err := os.ReadFile(filepath.Join(b.dir, name))
		if want != "-" && (err != nil || string(got) != want) {
			b.Errorf("%s: %s is %q, %v, want %q", what, name, got, err, want)
		}
	}
}

const (
	two      = steptest.InstalledBefore
	twoWorld = steptest.WorldBefore
)

// No exit status is proof, of neither.
func TestWhatAManagerDidIsReadBack(t *testing.T) {
	for _, tt := range []struct {
		name, with, installed, world string
		files                        []string
		fails                        string // or "": it ends well, with
		then, thenWorld              string
		says                         string
	}{
		{name: "a dead source", with: `{"manager":"apk","refresh":true}`, files: []string{"dead"}, fails: "refreshing the lists: apk ended well, but: WARNING: opening /feed/packages.adb: No such file"},
		{name: "a dead source", with: `{"manager":"opkg","refresh":true}`, files: []string{"dead"}, fails: "refreshing the lists: opkg: exit status 1: Failed to download the package list from http://feed"},
		{name: "a forged list", with: `{"manager":"opkg","refresh":true}`, files: []string{"forged"}, fails: "refreshing the lists: opkg ended well, but: Signature check failed."},
		{name: "a pin, all", with: `{"manager":"apk","upgrade":true}`, world: "curl=8-r2\ndropbear\n", fails: "upgrading: curl stays at 8-r2, though 8-r3 can be had: ", says: ""},
		{name: "a pin, named", with: `{"manager":"apk","upgrade":["curl"]}`, world: "curl=8-r2\ndropbear\n", then: "curl 8-r3\ndropbear 2-r1\n", thenWorld: twoWorld, says: "curl is pinned no longer: "},
		{name: "a pin to a file", with: `{"manager":"apk","upgrade":["curl"]}`, world: "curl><Q1hash=\ndropbear\n", then: "curl 8-r3\ndropbear 2-r1\n", thenWorld: twoWorld},
		{name: "a hold, all", with: `{"manager":"opkg","upgrade":true}`, installed: "curl 8-r2 hold\n", fails: "upgrading: curl stays at 8-r2, though 8-r3 can be had: it is on hold"},
		{name: "a hold, named", with: `{"manager":"opkg","upgrade":["curl"]}`, installed: "curl 8-r2 hold\n", fails: "it is on hold"},
		{name: "no lists", with: `{"manager":"opkg","upgrade":["curl"]}`, files: []string{"dead"}, fails: "upgrading: no source has curl: refresh: true fetches the lists"},
		{name: "no lists", with: `{"manager":"apk","upgrade":["curl"]}`, files: []string{"dead"}, fails: "upgrading: no source has curl"},
		{name: "nothing newer", with: `{"manager":"opkg","upgrade":["dropbear"]}`, then: two, thenWorld: twoWorld, says: "dropbear 2-r1: nothing newer can be had"},
		{name: "nothing newer", with: `{"manager":"apk","upgrade":["dropbear"]}`, then: two, thenWorld: twoWorld},
		{name: "a virtual package", with: `{"manager":"opkg","install":["wget"]}`, then: two + "wget-ssl 1-r1\n", thenWorld: twoWorld, says: "wget is provided by wget-ssl 1-r1"},
		{name: "a virtual package", with: `{"manager":"apk","install":["wget"]}`, then: two + "wget-ssl 1-r1\n", thenWorld: twoWorld + "wget\n", says: "wget is provided by wget-ssl 1-r1"},
		{name: "the other name of one", with: `{"manager":"opkg","remove":["wget"],"install":["lib"]}`, installed: "wget-ssl 1-r1\n", fails: "wget is provided by wget-ssl: name that to remove it"},
		{name: "a dependency that is asked for", with: `{"manager":"apk","install":["lib"]}`, installed: "lib 1-r1\nvim 9-r1\n", world: "vim\n", then: "lib 1-r1\nvim 9-r1\n", thenWorld: "lib\nvim\n"},
		{name: "a conflict", with: `{"manager":"opkg","install":["foe"]}`, fails: "installing foe: opkg: exit status 255: The following packages conflict with foe: curl *"},
		{name: "a conflict", with: `{"manager":"apk","install":["foe"]}`, fails: "breaks: foe-1-r1[!curl]"},
		{name: "an heir", with: `{"manager":"opkg","install":["heir"]}`, fails: "it removed curl, which the step does not name: allowRemove: true lets it"},
		{name: "an heir that may", with: `{"manager":"opkg","install":["heir"],"allowRemove":true}`, then: "dropbear 2-r1\nheir 1-r1\n", thenWorld: twoWorld},
		{name: "what another needs", with: `{"manager":"opkg","remove":["lib"],"allowRemove":true}`, installed: "lib 1-r1\nvim 9-r1\n", then: "", thenWorld: twoWorld},
		{name: "what another needs", with: `{"manager":"apk","remove":["lib"],"allowRemove":true}`, installed: "lib 1-r1\nvim 9-r1\n", world: "vim\n", then: "", thenWorld: ""},
		{name: "a displaced dependency", with: `{"manager":"apk","install":["foe"]}`, installed: "curl 8-r2\n", world: "\n", fails: "it would remove curl, which the step does not name"},
		{name: "a script that fails", with: `{"manager":"opkg","install":["bad"]}`, fails: `installing bad: opkg: exit status 255: package "bad" postinst script returned status 3.`},
		{name: "a script that fails", with: `{"manager":"apk","install":["bad"]}`, fails: "lib/apk/exec/bad-1-r1.post-install: exited with error 127"},
		{name: "another's script that fails", with: `{"manager":"opkg","install":["lib"]}`, installed: "bad 1-r1 unpacked\n", then: "bad 1-r1 unpacked\nlib 1-r1\n", thenWorld: twoWorld, says: "all is as the step says, though installing lib: opkg: exit status 255"},
		{name: "another's script that fails", with: `{"manager":"opkg","remove":["bad"]}`, installed: "bad 1-r1 unpacked\n", then: "", thenWorld: twoWorld},
		{name: "a dependency that nobody has", with: `{"manager":"opkg","install":["lame"]}`, files: []string{"feed=lame 1-r1 nobody"}, fails: "Cannot satisfy the following dependencies for lame: nobody *"},
		{name: "a feed that is away", with: `{"manager":"opkg","install":["lib"]}`, files: []string{"offline"}, fails: "Failed to download lib."},
		{name: "an older one of two", with: `{"manager":"opkg","install":["vim=8-r1"]}`, fails: "installing vim=8-r1: the feeds have 8-r1, 9-r1, and opkg installs only the newest"},
		{name: "the newest of two", with: `{"manager":"opkg","install":["vim=9-r1"]}`, then: two + "lib 1-r1\nvim 9-r1\n", thenWorld: twoWorld},
		{name: "a lock that it may not take", with: `{"manager":"opkg","install":["lib"]}`, files: []string{"denied"}, fails: "asking what is installed: opkg: exit status 255: Could not lock /var/lock/opkg.lock: Permission denied"},
		{name: "a lock that it may not take", with: `{"manager":"apk","install":["lib"]}`, files: []string{"denied"}, fails: "asking what is installed: apk: exit status 99: Unable to lock database: Permission denied"},
	} {
		if tt.installed == "" {
			tt.installed = two
		}
		if tt.world == "" {
			tt.world = twoWorld
		}
		b := newBoard(t, tt.installed, tt.world, tt.files...)
		a := steptest.NewAttempt(t, "%s", tt.with)
		err := a.Run(t.Context(), b.kind)
		what := tt.name + ", " + tt.with
		if tt.fails != "" {
			steptest.WantError(t, err, tt.fails)
		} else {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
			b.want(what, tt.then, tt.thenWorld)
		}
		if !strings.Contains(a.Out.String(), tt.says) {
			t.Errorf("%s: it says %q, want %q in it", what, a.Out.String(), tt.says)
		}
		if tt.name == "an heir" { // curl is no longer to be had in that version
			continue
		}
		if len(tt.files) > 0 && tt.files[0] == "denied" {
			b.gone("denied")
		}
		err = a.Undo(b.kind)
		if strings.Contains(tt.with, "allowRemove") && strings.Contains(tt.with, "opkg") {
			continue // the same
		}
		if err != nil {
			t.Errorf("%s: undo: %v", what, err)
		}
		b.want(what+": undo", tt.installed, tt.world)
	}
}

// A package whose script fails holds up neither its removal nor an undo.
func TestAPackageThatCannotBeConfiguredLocksNobodyOut(t *testing.T) {
	b := newBoard(t, two, twoWorld)
	a := steptest.NewAttempt(t, `{"manager":"opkg","install":["bad","lib"]}`)
	steptest.WantError(t, a.Run(t.Context(), b.kind), "bad")
	b.want("it fails", "bad 1-r1 unpacked\n"+two+"lib 1-r1\n", "-")
	if err := a.Undo(b.kind); err != nil {
		t.Errorf("undo: %v", err)
	}
	b.want("undo", two, "-")
	b.put("installed", "bad 1-r1 unpacked\n"+two)
	for _, with := range []string{`{"manager":"opkg","install":["wget-ssl"]}`, `{"manager":"opkg","upgrade":["curl"]}`, `{"manager":"opkg","remove":["bad"]}`} {
		later := steptest.NewAttempt(t, "%s", with)
		if err := later.Run(t.Context(), b.kind); err != nil {
			t.Errorf("%s: %v", with, err)
		}
	}
	b.want("later jobs", "curl 8-r3\ndropbear 2-r1\nwget-ssl 1-r1\n", "-")
}

// As long as apk's world names what cannot be installed, every later command fails.
func TestAFullDiskLeavesTheManagerAsItWas(t *testing.T) {
	for _, manager := range []string{"opkg", "apk"} {
		b := newBoard(t, two, twoWorld, "room=500")
		a := steptest.NewAttempt(t, `{"manager":%q,"install":["big"]}`, manager)
		err := a.Run(t.Context(), b.kind)
		steptest.WantError(t, err, "installing big: ", "big")
		t.Logf("%s: %v", manager, err)
		b.want(manager+" fails", two+"lib 1-r1\n", twoWorld)
		if err := errors.Join(a.Undo(b.kind), a.Undo(b.kind)); err != nil {
			t.Errorf("%s: undo: %v", manager, err)
		}
		b.want(manager+": undo", two, twoWorld)
		later := steptest.NewAttempt(t, `{"manager":%q,"install":["wget-ssl"]}`, manager)
		if err := later.Run(t.Context(), b.kind); err != nil {
			t.Errorf("%s: a later job: %v", manager, err)
		}
	}
}

// What another wants from apk by now is not the step's.
func TestUndoLeavesAloneWhatOthersWant(t *testing.T) {
	b := newBoard(t, two, twoWorld)
	a := steptest.NewAttempt(t, `{"manager":"apk","install":["vim=8-r1"],"remove":["curl"]}`)
	if err := a.Run(t.Context(), b.kind); err != nil {
		t.Fatal(err)
	}
	b.put("installed", "dropbear 2-r1\nlib 1-r1\nvim 8-r1\nwget-ssl 1-r1\n")
	b.put("world", "dropbear\nvim=8-r1\nwget\n")
	if err := a.Undo(b.kind); err != nil {
		t.Fatal(err)
	}
	b.want("undo", "curl 8-r2\ndropbear 2-r1\nwget-ssl 1-r1\n", "curl\ndropbear\nwget\n")
}
