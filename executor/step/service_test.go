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
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

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
		steptest.WantError(t, step.Service{}.Check([]byte(with)), want)
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
		for name, make := range map[string]func(*testing.T, string) error{"units/log": steptest.SystemdRoot, "etc/log": steptest.ProcdRoot} {
			dir := t.TempDir()
			if err := errors.Join(make(t, dir), steptest.Touch(dir, name)); err != nil {
				t.Fatal(err)
			}
			a := steptest.NewAttempt(t, `{"name":%q,"action":%q}`, tt.name, tt.action)
			kind := step.Service{Root: dir}
			if err := errors.Join(a.Run(t.Context(), kind)); err != nil {
				t.Errorf("%s %s: %v", tt.action, tt.name, err)
			}
			steptest.WantFile(t, filepath.Join(dir, name), []byte(tt.run))
			if err := errors.Join(a.Undo(kind), a.Undo(kind)); err != nil {
				t.Errorf("undo of %s %s: %v", tt.action, tt.name, err)
			}
			steptest.WantFile(t, filepath.Join(dir, name), []byte(tt.run+tt.undo))
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
		{steptest.ProcdRoot, "etc/log", "aged", "start"},
		{steptest.SystemdRoot, "units/log", "web", "enable"},
	} {
		dir := t.TempDir()
		if err := errors.Join(tt.make(t, dir), steptest.Touch(dir, tt.log)); err != nil {
			t.Fatal(err)
		}
		if tt.log == "units/log" {
			if err := steptest.Touch(dir, "units/web.static"); err != nil {
				t.Fatal(err)
			}
		}
		a := steptest.NewAttempt(t, `{"name":%q,"action":%q}`, tt.name, tt.action)
		kind := step.Service{Root: dir}
		if err := errors.Join(a.Run(t.Context(), kind), a.Undo(kind)); err != nil {
			t.Error(err)
		}
		steptest.WantFile(t, filepath.Join(dir, tt.log), []byte(tt.action+" "+tt.name+"\n"))
	}
}

func TestServiceFailsClearly(t *testing.T) {
	systemd, procd, neither := t.TempDir(), t.TempDir(), t.TempDir()
	if err := errors.Join(steptest.SystemdRoot(t, systemd), steptest.ProcdRoot(t, procd), steptest.Touch(systemd, "units/web.broken")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ root, name, want string }{
		{systemd, "nope", "there is no service nope: systemctl list-unit-files"},
		{procd, "nope", "there is no service nope: ls /etc/init.d"},
		{neither, "web", "neither systemd nor procd runs this device: use the kind command"},
		{systemd, "web", "start web: systemctl: exit status 1: Job for web.service failed."},
	} {
		a := steptest.NewAttempt(t, `{"name":%q,"action":"start"}`, tt.name)
		kind := step.Service{Root: tt.root}
		steptest.WantError(t, a.Run(t.Context(), kind), tt.want)
		if err := a.Undo(kind); err != nil {
			t.Errorf("undo: %v", err)
		}
	}
}

// TestTheAgentsOwnRestartIsDoneByTheNextAgent: it waits to be stopped, and the
// run of the agent that comes after finds it done.
func TestTheAgentsOwnRestartIsDoneByTheNextAgent(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(steptest.ProcdRoot(t, dir), steptest.Touch(dir, "etc/log")); err != nil {
		t.Fatal(err)
	}
	kind, log := step.Service{Root: dir}, filepath.Join(dir, "etc/log")
	a := steptest.NewAttempt(t, `{"name":"ratchet","action":"restart"}`)
	ended := make(chan error)
	go func() { ended <- a.Run(context.Background(), kind) }()
	steptest.Eventually(t, "the script is called", func() bool {
		text, _ := os.ReadFile(log)
		return string(text) == "restart ratchet\n"
	})
	close(a.Stop)
	steptest.WantError(t, <-ended, "the agent is stopping")
	a.Saved = json.RawMessage(strings.Replace(string(a.Saved), `"pid":`, `"pid":9`, 1)) // it was another process
	if err := a.Run(t.Context(), kind); err != nil {
		t.Error(err)
	}
	steptest.WantFile(t, log, []byte("restart ratchet\n"))
}

func TestAnAgentThatIsNotRestartedFailsTheStep(t *testing.T) {
	dir := t.TempDir()
	if err := steptest.ProcdRoot(t, dir); err != nil {
		t.Fatal(err)
	}
	a := steptest.NewAttempt(t, `{"name":"ratchet","action":"restart"}`)
	a.Timeout = executor.Duration(300 * time.Millisecond)
	steptest.WantError(t, a.Run(t.Context(), step.Service{Root: dir}), "the agent was not restarted: timed out after 300ms")
}

// A job of systemd's is waited for, and what was on its way already is not the step's.
func TestAServiceOnItsWayIsWaitedFor(t *testing.T) {
	for _, tt := range []struct{ state, action, run, undo string }{
		{"deactivating", "stop", "stop web\n", ""},
		{"deactivating", "start", "start web\n", "stop web\n"},
		{"activating", "start", "start web\n", ""},
		{"activating", "stop", "stop web\n", "start web\n"},
	} {
		dir := t.TempDir()
		if err := errors.Join(steptest.SystemdRoot(t, dir), steptest.Touch(dir, "units/log", "units/web."+tt.state)); err != nil {
			t.Fatal(err)
		}
		a := steptest.NewAttempt(t, `{"name":"web","action":%q}`, tt.action)
		kind := step.Service{Root: dir}
		if err := a.Run(t.Context(), kind); err != nil {
			t.Errorf("%s, %s: %v", tt.state, tt.action, err)
		}
		steptest.WantFile(t, filepath.Join(dir, "units/log"), []byte(tt.run))
		if err := errors.Join(a.Undo(kind), a.Undo(kind)); err != nil {
			t.Errorf("%s, %s: undo: %v", tt.state, tt.action, err)
		}
		steptest.WantFile(t, filepath.Join(dir, "units/log"), []byte(tt.run+tt.undo))
	}
}

// systemd goes on with the unit that it has read.
func TestAChangedUnitIsReadAgain(t *testing.T) {
	for _, action := range []string{"start", "restart", "reload", "enable"} {
		dir := t.TempDir()
		if err := errors.Join(steptest.SystemdRoot(t, dir), steptest.Touch(dir, "units/log", "units/web.stale")); err != nil {
			t.Fatal(err)
		}
		a := steptest.NewAttempt(t, `{"name":"web","action":%q}`, action)
		if err := a.Run(t.Context(), step.Service{Root: dir}); err != nil {
			t.Errorf("%s: %v", action, err)
		}
		steptest.WantFile(t, filepath.Join(dir, "units/log"), []byte("daemon-reload\n"+action+" web\n"))
	}
}

// Neither a script of init.d nor a unit of which another is enabled has a state
// that its unit file tells.
func TestUndoOfEnableIsTrue(t *testing.T) {
	for _, state := range []string{"sysv", "indirect"} {
		dir := t.TempDir()
		if err := errors.Join(steptest.SystemdRoot(t, dir), steptest.Touch(dir, "units/log", "units/web."+state)); err != nil {
			t.Fatal(err)
		}
		a := steptest.NewAttempt(t, `{"name":"web","action":"enable"}`)
		kind := step.Service{Root: dir}
		if err := errors.Join(a.Run(t.Context(), kind), a.Undo(kind), a.Undo(kind)); err != nil {
			t.Errorf("%s: %v", state, err)
		}
		steptest.WantFile(t, filepath.Join(dir, "units/log"), []byte("enable web\ndisable web\n"))
	}
}

func TestAServiceThatDoesNotStopFailsTheStep(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(steptest.SystemdRoot(t, dir), steptest.Touch(dir, "units/busy.deaf")); err != nil {
		t.Fatal(err)
	}
	a := steptest.NewAttempt(t, `{"name":"busy","action":"stop"}`)
	steptest.WantError(t, a.Run(t.Context(), step.Service{Root: dir}), "stop busy: it ended well, and nothing has changed")
}
