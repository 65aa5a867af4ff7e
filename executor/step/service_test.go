package step_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// serviceCases are what the suite cuts of the kind service.
func serviceCases(t *testing.T) (cases []steptest.Case) {
	var root string
	for _, c := range []struct {
		name, with string
		setup      func(*testing.T, string) error
	}{
		{"service, start", `{"name":"web","action":"start"}`, systemdRoot},
		{"service, start what runs", `{"name":"busy","action":"start"}`, systemdRoot},
		{"service, restart", `{"name":"busy","action":"restart"}`, systemdRoot},
		{"service, disable", `{"name":"busy","action":"disable"}`, systemdRoot},
		{"service, stop, procd", `{"name":"busy","action":"stop"}`, procdRoot},
		{"service, enable, procd", `{"name":"web","action":"enable"}`, procdRoot},
	} {
		cases = append(cases, steptest.Case{
			Name:  c.name,
			Kind:  func(safefile.Files) executor.Kind { return late{func() undoable { return step.Service{Root: root} }} },
			With:  func(dir string) string { root = dir; return c.with },
			Setup: func(dir string) error { return c.setup(t, dir) },
		})
	}
	return cases
}

// systemdRoot makes dir a system with the services web, which is down, and
// busy, which runs and is enabled.
func systemdRoot(t *testing.T, dir string) error {
	err := errors.Join(os.MkdirAll(filepath.Join(dir, "run/systemd/system"), 0o755), os.Mkdir(filepath.Join(dir, "bin"), 0o755),
		os.Mkdir(filepath.Join(dir, "etc"), 0o755), os.Mkdir(filepath.Join(dir, "units"), 0o755),
		os.Symlink(standIn(t, "systemctl"), filepath.Join(dir, "bin/systemctl")))
	return errors.Join(err, touch(dir, "units/web", "units/busy", "units/busy.active", "units/busy.enabled"))
}

// procdRoot is the same for procd.
func procdRoot(t *testing.T, dir string) error {
	var errs []error
	for _, d := range []string{"init.d", "rc.d", "run", "old"} {
		errs = append(errs, os.MkdirAll(filepath.Join(dir, "etc", d), 0o755))
	}
	script, err := os.ReadFile(standIn(t, "initscript"))
	for _, name := range []string{"web", "busy", "aged", "ratchet"} {
		errs = append(errs, os.WriteFile(filepath.Join(dir, "etc/init.d", name), script, 0o755))
	}
	errs = append(errs, err, touch(dir, "etc/rc.common", "etc/run/busy", "etc/old/aged"), os.Symlink("../init.d/busy", filepath.Join(dir, "etc/rc.d/S50busy")))
	return errors.Join(errs...)
}

func touch(dir string, names ...string) error {
	var errs []error
	for _, name := range names {
		errs = append(errs, os.WriteFile(filepath.Join(dir, name), nil, 0o644))
	}
	return errors.Join(errs...)
}

func TestServiceRefuses(t *testing.T) {
	for with, want := range map[string]string{
		`{"action":"start"}`:                           `name: ""`,
		`{"name":"../../bin/sh","action":"start"}`:     "name: ",
		`{"name":"-H","action":"start"}`:               "name: ",
		`{"name":"a b","action":"start"}`:              "name: ",
		`{"name":"web"}`:                               `action: "": want start, stop`,
		`{"name":"web","action":"kill"}`:               "action: ",
		`{"name":"web","action":"start","force":true}`: "force: unknown field",
		`{"name":"ratchetd.service","action":"stop"}`:  "would cut the device off",
		`{"name":"ratchet","action":"disable"}`:        "would cut the device off",
	} {
		wantError(t, step.Service{}.Check([]byte(with)), want)
	}
	if err := (step.Service{}).Check([]byte(`{"name":"getty@tty1.service","action":"restart"}`)); err != nil {
		t.Error(err)
	}
}

func TestAServiceIsToldOnlyWhatItNeeds(t *testing.T) {
	for _, tt := range []struct{ name, action, run, undo string }{
		{"web", "start", "start web\n", "stop web\n"},
		{"busy", "start", "", ""},
		{"busy", "stop", "stop busy\n", "start busy\n"},
		{"web", "stop", "", ""},
		{"web", "enable", "enable web\n", "disable web\n"},
		{"busy", "enable", "", ""},
		{"busy", "disable", "disable busy\n", "enable busy\n"},
		{"web", "restart", "restart web\n", ""},
		{"busy", "reload", "reload busy\n", ""},
	} {
		for name, make := range map[string]func(*testing.T, string) error{"units/log": systemdRoot, "etc/log": procdRoot} {
			dir := t.TempDir()
			if err := errors.Join(make(t, dir), touch(dir, name)); err != nil {
				t.Fatal(err)
			}
			a := newAttempt(t, `{"name":%q,"action":%q}`, tt.name, tt.action)
			kind := step.Service{Root: dir}
			if err := errors.Join(a.run(t.Context(), kind)); err != nil {
				t.Errorf("%s %s: %v", tt.action, tt.name, err)
			}
			wantFile(t, filepath.Join(dir, name), []byte(tt.run))
			if err := errors.Join(a.undo(kind), a.undo(kind)); err != nil {
				t.Errorf("undo of %s %s: %v", tt.action, tt.name, err)
			}
			wantFile(t, filepath.Join(dir, name), []byte(tt.run+tt.undo))
		}
	}
}

// TestWhatCannotBeToldIsDoneAndNotReversed: neither a script without procd nor
// a unit that is static can say how it is.
func TestWhatCannotBeToldIsDoneAndNotReversed(t *testing.T) {
	for _, tt := range []struct {
		make              func(*testing.T, string) error
		log, name, action string
	}{
		{procdRoot, "etc/log", "aged", "start"},
		{systemdRoot, "units/log", "web", "enable"},
	} {
		dir := t.TempDir()
		if err := errors.Join(tt.make(t, dir), touch(dir, tt.log)); err != nil {
			t.Fatal(err)
		}
		if tt.log == "units/log" {
			if err := touch(dir, "units/web.static"); err != nil {
				t.Fatal(err)
			}
		}
		a := newAttempt(t, `{"name":%q,"action":%q}`, tt.name, tt.action)
		kind := step.Service{Root: dir}
		if err := errors.Join(a.run(t.Context(), kind), a.undo(kind)); err != nil {
			t.Error(err)
		}
		wantFile(t, filepath.Join(dir, tt.log), []byte(tt.action+" "+tt.name+"\n"))
	}
}

func TestServiceFailsClearly(t *testing.T) {
	systemd, procd, neither := t.TempDir(), t.TempDir(), t.TempDir()
	if err := errors.Join(systemdRoot(t, systemd), procdRoot(t, procd), touch(systemd, "units/web.broken")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ root, name, want string }{
		{systemd, "nope", "there is no service nope: systemctl list-unit-files"},
		{procd, "nope", "there is no service nope: ls /etc/init.d"},
		{neither, "web", "neither systemd nor procd runs this device: use the kind command"},
		{systemd, "web", "start web: systemctl: exit status 1: Job for web.service failed."},
	} {
		a := newAttempt(t, `{"name":%q,"action":"start"}`, tt.name)
		kind := step.Service{Root: tt.root}
		wantError(t, a.run(t.Context(), kind), tt.want)
		if err := a.undo(kind); err != nil {
			t.Errorf("undo: %v", err)
		}
	}
}

// TestTheAgentsOwnRestartIsDoneByTheNextAgent: it waits to be stopped, and the
// run of the agent that comes after finds it done.
func TestTheAgentsOwnRestartIsDoneByTheNextAgent(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(procdRoot(t, dir), touch(dir, "etc/log")); err != nil {
		t.Fatal(err)
	}
	kind, log := step.Service{Root: dir}, filepath.Join(dir, "etc/log")
	a := newAttempt(t, `{"name":"ratchet","action":"restart"}`)
	ended := make(chan error)
	go func() { ended <- a.run(context.Background(), kind) }()
	eventually(t, "the script is called", func() bool {
		text, _ := os.ReadFile(log)
		return string(text) == "restart ratchet\n"
	})
	close(a.stop)
	wantError(t, <-ended, "the agent is stopping")
	a.saved = json.RawMessage(strings.Replace(string(a.saved), `"pid":`, `"pid":9`, 1)) // it was another process
	if err := a.run(t.Context(), kind); err != nil {
		t.Error(err)
	}
	wantFile(t, log, []byte("restart ratchet\n"))
}

func TestAnAgentThatIsNotRestartedFailsTheStep(t *testing.T) {
	dir := t.TempDir()
	if err := procdRoot(t, dir); err != nil {
		t.Fatal(err)
	}
	a := newAttempt(t, `{"name":"ratchet","action":"restart"}`)
	a.Timeout = executor.Duration(300 * time.Millisecond)
	wantError(t, a.run(t.Context(), step.Service{Root: dir}), "the agent was not restarted: timed out after 300ms")
}
