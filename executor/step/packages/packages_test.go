package packages_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/packages"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

func newPackages(t *testing.T) (dir string, kind packages.Kind) {
	dir = t.TempDir()
	if err := steptest.Feed(dir); err != nil {
		t.Fatal(err)
	}
	return dir, steptest.OnPackages(t, dir)
}

func TestPackageRefuses(t *testing.T) {
	for with, want := range map[string]string{
		`{}`:                                     "want install, remove, upgrade or refresh",
		`{"upgrade":false}`:                      "want install, remove, upgrade or refresh",
		`{"upgrade":"all"}`:                      "upgrade: want true or a list",
		`{"install":["--force-overwrite"]}`:      `install[0]: "--force-overwrite": want the name`,
		`{"install":["curl","vim-"]}`:            `install[1]: "vim-": want the name`,
		`{"install":["./x.ipk"]}`:                "install[0]: ",
		`{"install":["https://x/y.ipk"]}`:        "install[0]: ",
		`{"install":["lib*"]}`:                   "install[0]: ",
		`{"install":["a b"]}`:                    "install[0]: ",
		`{"install":[""]}`:                       "install[0]: ",
		`{"install":["vim="]}`:                   `install[0]: "vim=": want a version`,
		`{"install":["vim=*"]}`:                  "install[0]: ",
		`{"remove":["vim=9"]}`:                   "remove[0]: ",
		`{"install":["vim"],"remove":["vim"]}`:   "remove[0]: vim is named twice",
		`{"remove":["ratchet"]}`:                 "remove[0]: without ratchet, the agent itself",
		`{"install":["vim"],"manager":"pacman"}`: `manager: "pacman": want opkg, apk or apt`,
		`{"install":["vim"],"force":true}`:       "force: unknown field",
	} {
		steptest.WantError(t, packages.Kind{}.Check([]byte(with)), want)
	}
	for _, with := range []string{`{"install":["g++","libstdc++6=1:12.2.0-14~deb12+u1"]}`, `{"upgrade":true}`, `{"upgrade":["a"],"refresh":true}`, `{"refresh":true}`} {
		if err := (packages.Kind{}).Check([]byte(with)); err != nil {
			t.Errorf("%s: %v", with, err)
		}
	}
}

func TestPackagesAreAsTheJobSaysAndGoBack(t *testing.T) {
	for _, tt := range []struct{ manager, with, installed, world string }{
		{"opkg", `"install":["vim"]`, "curl 8-r2\ndropbear 2-r1\nlib 1-r1\nvim 9-r1\n", steptest.WorldBefore},
		{"opkg", `"install":["curl","curl2"]`, "", ""},
		{"opkg", `"remove":["dropbear","lib"],"refresh":true`, "curl 8-r2\n", steptest.WorldBefore},
		{"apk", `"install":["vim=8-r1"]`, "curl 8-r2\ndropbear 2-r1\nlib 1-r1\nvim 8-r1\n", steptest.WorldBefore + "vim=8-r1\n"},
		{"apk", `"install":["dropbear=1-r1"],"remove":["curl"]`, "dropbear 1-r1\n", "dropbear=1-r1\n"},
		{"apk", `"install":["curl"]`, steptest.InstalledBefore, steptest.WorldBefore},
	} {
		dir, kind := newPackages(t)
		a := steptest.NewAttempt(t, `{"manager":%q,%s}`, tt.manager, tt.with)
		if tt.installed == "" {
			steptest.WantError(t, a.Run(t.Context(), kind), "installing curl2: ", "Unknown package 'curl2'.", "refresh: true")
		} else {
			for range 2 {
				if err := a.Run(t.Context(), kind); err != nil {
					t.Errorf("%s %s: %v", tt.manager, tt.with, err)
				}
			}
			steptest.WantFile(t, filepath.Join(dir, "installed"), []byte(tt.installed))
			steptest.WantFile(t, filepath.Join(dir, "world"), []byte(tt.world))
		}
		for range 2 {
			if err := a.Undo(kind); err != nil {
				t.Errorf("%s %s: undo: %v", tt.manager, tt.with, err)
			}
		}
		steptest.WantFile(t, filepath.Join(dir, "installed"), []byte(steptest.InstalledBefore))
		steptest.WantFile(t, filepath.Join(dir, "world"), []byte(steptest.WorldBefore))
	}
}

func TestPackagesAreUpgraded(t *testing.T) {
	for _, with := range []string{
		`{"manager":"opkg","upgrade":true}`, `{"manager":"opkg","upgrade":["curl"]}`,
		`{"manager":"apk","upgrade":true}`, `{"manager":"apk","upgrade":["curl"]}`,
	} {
		dir, kind := newPackages(t)
		a := steptest.NewAttempt(t, "%s", with)
		for range 2 {
			if err := a.Run(t.Context(), kind); err != nil {
				t.Errorf("%s: %v", with, err)
			}
			steptest.WantFile(t, filepath.Join(dir, "installed"), []byte("curl 8-r3\ndropbear 2-r1\n"))
		}
		if strings.Contains(with, "opkg") { // whose feeds have the newest only
			steptest.WantError(t, a.Undo(kind), "curl is 8-r3, and was 8-r2 before")
			continue
		}
		if err := a.Undo(kind); err != nil {
			t.Errorf("%s: undo: %v", with, err)
		}
		steptest.WantFile(t, filepath.Join(dir, "installed"), []byte(steptest.InstalledBefore))
		steptest.WantFile(t, filepath.Join(dir, "world"), []byte(steptest.WorldBefore))
	}
}

// TestUndoLeavesAloneWhatOthersInstalled: after the step was done, what comes
// is not the step's.
func TestUndoLeavesAloneWhatOthersInstalled(t *testing.T) {
	dir, kind := newPackages(t)
	a := steptest.NewAttempt(t, `{"manager":"opkg","remove":["dropbear"]}`)
	if err := a.Run(t.Context(), kind); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "installed"), []byte("curl 8-r2\nlib 1-r1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := a.Undo(kind); err != nil {
		t.Fatal(err)
	}
	steptest.WantFile(t, filepath.Join(dir, "installed"), []byte("curl 8-r2\ndropbear 2-r1\nlib 1-r1\n"))
}

func TestWhatWasCutIsFinishedFirst(t *testing.T) {
	dir, kind := newPackages(t)
	if err := os.WriteFile(filepath.Join(dir, "installed"), []byte("curl 8-r2 unpacked\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	a := steptest.NewAttempt(t, `{"manager":"opkg","install":["curl"]}`)
	a.Attempt = 2
	if err := a.Run(t.Context(), kind); err != nil {
		t.Fatal(err)
	}
	steptest.WantFile(t, filepath.Join(dir, "installed"), []byte("curl 8-r2\n"))
}

func TestPackageFailsClearly(t *testing.T) {
	_, kind := newPackages(t)
	for with, want := range map[string]string{
		`{"manager":"opkg","install":["curl=7"]}`:          "installing curl=7: the feeds have 8-r2, 8-r3 of it",
		`{"manager":"opkg","install":["curl=8-r2","x=1"]}`: "installing x=1: the feeds have no version of it",
		`{"manager":"apk","install":["vim","nope=1"]}`:     "installing vim nope=1: apk: exit status 1: unable to select packages: nope (no such package): required by: world[nope=1]",
		`{"manager":"opkg","upgrade":["vim"]}`:             "upgrade: vim is not installed",
	} {
		a := steptest.NewAttempt(t, "%s", with)
		steptest.WantError(t, a.Run(t.Context(), kind), want)
		if err := a.Undo(kind); err != nil {
			t.Errorf("%s: undo: %v", with, err)
		}
	}
	kind = packages.Kind{Apt: []string{"/bin/false"}, DpkgQuery: []string{"/no/such/dpkg-query"}}
	steptest.WantError(t, steptest.NewAttempt(t, `{"manager":"apt","install":["vim"]}`).Run(t.Context(), kind), "asking what is installed: ")
}

func TestADependencyKeepsWhatItNeeds(t *testing.T) {
	dir, kind := newPackages(t)
	if err := os.WriteFile(filepath.Join(dir, "installed"), []byte("lib 1-r1\nvim 9-r1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	steptest.WantError(t, steptest.NewAttempt(t, `{"manager":"opkg","remove":["lib"]}`).Run(t.Context(), kind), "removing lib: ", "Package lib is depended upon by packages: vim")
	if err := os.WriteFile(filepath.Join(dir, "world"), []byte("vim\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	a := steptest.NewAttempt(t, `{"manager":"apk","remove":["lib"]}`)
	steptest.WantError(t, a.Run(t.Context(), kind), "lib is still installed, although apk ended well")
}

// TestALockIsWaitedFor: the manager is somebody else's for a while.
func TestALockIsWaitedFor(t *testing.T) {
	t.Parallel()
	dir, kind := newPackages(t)
	lock := filepath.Join(dir, "lock")
	if err := os.WriteFile(lock, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(500*time.Millisecond, func() { _ = os.Remove(lock) })
	a := steptest.NewAttempt(t, `{"manager":"opkg","install":["vim"]}`)
	if err := a.Run(t.Context(), kind); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(lock, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	b := steptest.NewAttempt(t, `{"manager":"opkg","remove":["vim"]}`)
	b.Timeout = executor.Duration(300 * time.Millisecond)
	steptest.WantError(t, b.Run(t.Context(), kind), "waiting for another run of opkg to end: timed out after 300ms")
}

// TestTheAgentsOwnPackageOutlivesIt: the manager that replaces the agent goes
// on when that is stopped, and the run after finds the work done.
func TestTheAgentsOwnPackageOutlivesIt(t *testing.T) {
	t.Parallel()
	dir, kind := newPackages(t)
	script := filepath.Join(dir, "opkg")
	text := "#!/bin/sh\ncase $* in *install*) [ -e " + dir + "/told ] || { : > " + dir + "/told; sleep 1; } ;; esac\nexec " + strings.Join(kind.Opkg, " ") + " \"$@\"\n"
	file, err := os.OpenFile(filepath.Join(dir, "feed"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteString("ratchet 1-r1\n")
	if err := errors.Join(err, file.Close(), os.WriteFile(script, []byte(text), 0o755)); err != nil {
		t.Fatal(err)
	}
	kind.Opkg = []string{script}
	a := steptest.NewAttempt(t, `{"manager":"opkg","install":["ratchet"]}`)
	ended := make(chan error)
	go func() { ended <- a.Run(context.Background(), kind) }()
	steptest.Eventually(t, "the manager is at work", func() bool { _, err := os.Stat(filepath.Join(dir, "told")); return err == nil })
	close(a.Stop)
	steptest.WantError(t, <-ended, "the agent is stopping")
	steptest.Eventually(t, "the manager is done", func() bool {
		text, _ := os.ReadFile(filepath.Join(dir, "installed"))
		return strings.Contains(string(text), "ratchet 1-r1")
	})
	if err := a.Run(t.Context(), kind); err != nil {
		t.Error(err)
	}
}

func TestThePackageManagerIsFoundByItself(t *testing.T) {
	dir, kind := newPackages(t)
	if err := steptest.NewAttempt(t, `{"install":["vim"]}`).Run(t.Context(), kind); err != nil {
		t.Fatal(err)
	}
	steptest.WantFile(t, filepath.Join(dir, "world"), []byte(steptest.WorldBefore))
}
