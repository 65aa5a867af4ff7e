package conformance_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/check"
	"github.com/ratchetd/ratchet/executor/step/config"
	"github.com/ratchetd/ratchet/executor/step/data"
	"github.com/ratchetd/ratchet/executor/step/diagnostic"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/steptest"
	"github.com/ratchetd/ratchet/executor/step/upload"
)

// A program with set-user-id is one that runs as somebody whom the owner did not
// name, whichever kind made it, and also where it had that mode before.
func TestNoKindMakesAProgramOfAnotherUser(t *testing.T) {
	url, sum := steptest.Serve(t, []byte("#!/bin/sh\n"))
	for rule, p := range map[string]policy.Policy{
		"policy.users":    {Users: []string{"app"}},
		"policy.commands": {Commands: []string{"/bin/true"}},
	} {
		for _, mode := range []string{"4755", "2755", "6711", "07755"} {
			for name, c := range map[string]struct {
				kind executor.Kind
				with string
			}{
				"file":     {step.File{Policy: p}, `{"path":"%[1]s","content":"x","mode":"%[2]s"}`},
				"download": {step.Download{Policy: p}, `{"url":"` + url + `","sha256":"` + sum + `","to":"%[1]s","mode":"%[2]s"}`},
				"config":   {config.Kind{Policy: p}, `{"files":[{"path":"%[1]s","content":"x","mode":"%[2]s"}]}`},
			} {
				a := steptest.NewAttempt(t, c.with, filepath.Join(t.TempDir(), "f"), mode)
				steptest.WantError(t, c.kind.Check(a.With), "mode: ", rule)
				steptest.WantError(t, a.Run(t.Context(), c.kind), "mode: ", rule)
				_ = name
			}
		}
		for name, c := range map[string]struct {
			kind executor.Kind
			with string
		}{
			"file":     {step.File{Policy: p}, `{"path":"%[1]s","content":"x"}`},
			"from":     {step.File{Policy: p}, `{"path":"%[1]s","from":"%[1]s.other"}`},
			"download": {step.Download{Policy: p}, `{"url":"` + url + `","sha256":"` + sum + `","to":"%[1]s"}`},
			"config":   {config.Kind{Policy: p}, `{"files":[{"path":"%[1]s","content":"x"}]}`},
			"data":     {withWorker(t, p), `{"inputs":["%[1]s.other"],"format":"text","jq":"inputs","output":"%[1]s"}`},
		} {
			path := filepath.Join(t.TempDir(), "f")
			if err := errors.Join(os.WriteFile(path, []byte("old"), 0o755), os.Chmod(path, 0o755|os.ModeSetuid), os.WriteFile(path+".other", []byte("new"), 0o644)); err != nil {
				t.Fatal(err)
			}
			err := steptest.NewAttempt(t, c.with, path).Run(t.Context(), c.kind)
			if text := steptest.ReadFile(t, path); err == nil || !strings.Contains(err.Error(), rule) || text != "old" {
				t.Errorf("%s: a program of another user has the content %q (%v)", name, text, err)
			}
		}
	}
	if err := (step.File{}).Check(json.RawMessage(`{"path":"/usr/bin/x","content":"x","mode":"4755"}`)); err != nil {
		t.Errorf("without a rule: %v", err)
	}
}

func withWorker(t *testing.T, p policy.Policy) data.Kind {
	k := steptest.Data(t)
	k.Policy = p
	return k
}

// Where the owner did not allow command, no other kind runs a program of the
// job's.
func TestAProgramNeedsCommandOrAMatch(t *testing.T) {
	dir := t.TempDir()
	for _, allow := range [][]string{{"file", "diagnostic", "config"}, {}} {
		p := policy.Policy{Allow: allow}
		for where, err := range programs(p, dir) {
			steptest.WantError(t, err, "/bin/true: policy.allow does not hold command")
			_ = where
		}
		p.Commands = []string{"/bin/true"}
		for where, err := range programs(p, dir) {
			if err != nil {
				t.Errorf("%s: %v, want it allowed by commands", where, err)
			}
		}
	}
	for _, allow := range [][]string{{"*"}, {"command", "config"}, nil} {
		for where, err := range programs(policy.Policy{Allow: allow}, dir) {
			if err != nil {
				t.Errorf("allow %q: %s: %v", allow, where, err)
			}
		}
	}
}

// programs are all places where a job names a program that is no command step.
func programs(p policy.Policy, dir string) map[string]error {
	check1 := func(k executor.Kind, format string, args ...any) error {
		return k.Check(json.RawMessage(fmt.Sprintf(format, args...)))
	}
	return map[string]error{
		"check":    check.Permit(p, json.RawMessage(`{"command":["/bin/true"]}`)),
		"checks":   check1(diagnostic.Kind{Policy: p}, `{"checks":[{"command":["/bin/true"]}]}`),
		"repair":   check1(diagnostic.Kind{Policy: p}, `{"checks":[{"memory":true,"repair":["/bin/true"]}]}`),
		"collect":  check1(diagnostic.Kind{Policy: p}, `{"collect":{"commands":[["/bin/true"]],"to":"%s/b"}}`, dir),
		"validate": check1(config.Kind{Policy: p}, `{"files":[{"path":"%s/a","content":"x"}],"validate":["/bin/true"]}`, dir),
		"apply":    check1(config.Kind{Policy: p}, `{"files":[{"path":"%s/a","content":"x"}],"apply":["/bin/true"]}`, dir),
	}
}

// What a job reads may leave the device, or be written where others read it.
func TestReadingIsBoundAsWritingIs(t *testing.T) {
	dir := t.TempDir()
	inside, outside := filepath.Join(dir, "open"), filepath.Join(dir, "closed")
	for _, d := range []string{inside, outside} {
		if err := errors.Join(os.Mkdir(d, 0o755), os.WriteFile(d+"/f", []byte("x\n"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside+"/f", inside+"/link"); err != nil {
		t.Fatal(err)
	}
	for rule, p := range map[string]policy.Policy{
		"policy.read": {Read: []string{inside}},
		"policy.paths, for policy.read is not set": {Paths: []string{inside}},
	} {
		for _, path := range []string{outside + "/f", inside + "/link", "/etc/passwd"} {
			for name, c := range map[string]struct {
				kind executor.Kind
				with string
			}{
				"upload": {upload.Kind{Policy: p}, `{"paths":[%[1]q],"url":"http://127.0.0.1:1/"}`},
				"from":   {step.File{Policy: p}, `{"path":"` + inside + `/new","from":%[1]q}`},
				"config": {config.Kind{Policy: p}, `{"files":[{"path":"` + inside + `/new","from":%[1]q}]}`},
				"data":   {withWorker(t, p), `{"inputs":[%[1]q],"format":"text","jq":"inputs","output":"` + inside + `/new"}`},
				"check":  {diagnostic.Kind{Policy: p}, `{"checks":[{"file":%[1]q}]}`},
			} {
				a := steptest.NewAttempt(t, c.with, path)
				err := c.kind.Check(a.With)
				if err == nil {
					err = a.Run(t.Context(), c.kind)
				}
				if err == nil || !strings.Contains(err.Error(), rule) {
					t.Errorf("%s of %s: got %v, want it refused by %s", name, path, err, rule)
				}
			}
			bundle := filepath.Join(inside, "bundle")
			a := steptest.NewAttempt(t, `{"collect":{"files":[%q],"to":%q}}`, path, bundle)
			if err := a.Run(t.Context(), diagnostic.Kind{Policy: p}); err != nil {
				t.Error(err)
			}
			for name := range steptest.Unpack(t, bundle) {
				if strings.HasPrefix(name, "files/") {
					t.Errorf("the bundle holds %s", name)
				}
			}
		}
		a := steptest.NewAttempt(t, `{"path":%q,"from":%q}`, inside+"/copy", inside+"/f")
		if err := a.Run(t.Context(), step.File{Policy: p}); err != nil {
			t.Errorf("what lies inside cannot be read: %v", err)
		}
	}
}

// What takes the board down, or opens it, is touched only by an owner's word.
func TestAJobTouchesNoUnitOfTheBoardItself(t *testing.T) {
	for _, name := range []string{
		"poweroff.target", "reboot.target", "halt.target", "kexec.target", "rescue.target", "emergency.target", "emergency.service",
		"debug-shell.service", "debug-shell", "console-shell", "systemd-poweroff", "systemd-reboot.service", "systemd-suspend",
		"hibernate.target", "suspend-then-hibernate.target", "multi-user.target", "runlevel0.target", "ctrl-alt-del.target",
		"system.slice", "init.scope", "home.mount", "swap.swap", "umount", "boot", "soft-reboot.target", "systemd-soft-reboot",
	} {
		for _, action := range []string{"start", "stop", "restart", "enable"} {
			with := fmt.Sprintf(`{"name":%q,"action":%q}`, name, action)
			steptest.WantError(t, step.Service{}.Check(json.RawMessage(with)), "policy.services must name it")
			owner := policy.Policy{Services: []string{name}}
			if err := (step.Service{Policy: owner}).Check(json.RawMessage(with)); err != nil {
				t.Errorf("%s: %v, though the owner named it", name, err)
			}
		}
	}
	for name, want := range map[string]string{"nginx": "", "nginx.service": "", "getty@tty1": "", "logrotate.timer": "", "docker.socket": "", "my.app": ""} {
		with := json.RawMessage(fmt.Sprintf(`{"name":%q,"action":"restart"}`, name))
		if err := (step.Service{}).Check(with); err != nil {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
		steptest.WantError(t, step.Service{Policy: policy.Policy{Services: []string{"app-*"}}}.Check(with), "policy.services does not allow it")
	}
}

// A unit is judged by the name that systemd itself gives it.
func TestAnAliasOfAUnitOpensNothing(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(steptest.SystemdRoot(t, dir), os.WriteFile(filepath.Join(dir, "units/web.alias"), []byte("poweroff.target\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	a := steptest.NewAttempt(t, `{"name":"web","action":"start"}`)
	steptest.WantError(t, a.Run(t.Context(), step.Service{Root: dir}), "poweroff.target: ", "policy.services must name it")
	if _, err := os.Stat(filepath.Join(dir, "units/web.active")); err == nil {
		t.Error("it was started all the same")
	}
}

// The package's launcher runs what it is given: no pattern makes it a program of
// the job's.
func TestTheLauncherIsNoProgramOfAJobs(t *testing.T) {
	for _, path := range []string{"/usr/lib/ratchet/ratchetd-start", "/usr/libexec/ratchet/ratchetd-start", "/opt/ratchetd-start"} {
		p := policy.Policy{Commands: []string{"/usr/lib/ratchet/*", "/usr/libexec/*/*", "/opt/*"}}
		with := json.RawMessage(fmt.Sprintf(`{"argv":[%q,"/bin/sh","-c","id"]}`, path))
		steptest.WantError(t, step.Command{Policy: p}.Check(with), "it starts whatever it is given")
	}
}

// A job that may run a program of the owner's list must not be able to bring it.
func TestAJobWritesNoProgramThatCommandsNames(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(dir+"/bin", 0o755), os.Symlink("bin", dir+"/link"), os.WriteFile(dir+"/bin/tool", nil, 0o755)); err != nil {
		t.Fatal(err)
	}
	p := policy.Policy{Paths: []string{dir}, Commands: []string{dir + "/bin/*", dir + "/one"}}
	for name, want := range map[string]string{"bin/tool": "policy.commands", "bin/new": "policy.commands", "link/new": "policy.commands", "one": "policy.commands", "other": "", "bin/sub/x": ""} {
		for verb, with := range map[string]string{
			"content": `{"path":"%[1]s/%[2]s","content":"x"}`, "absent": `{"path":"%[1]s/%[2]s","absent":true}`,
		} {
			err := step.File{Policy: p}.Check(json.RawMessage(fmt.Sprintf(with, dir, name)))
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s of %s: got %v, want %q", verb, name, err, want)
			}
		}
	}
}
