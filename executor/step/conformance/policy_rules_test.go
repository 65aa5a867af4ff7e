package conformance_test

import (
	"encoding/json"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/check"
	"github.com/ratchetd/ratchet/executor/step/config"
	"github.com/ratchetd/ratchet/executor/step/data"
	"github.com/ratchetd/ratchet/executor/step/diagnostic"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/upload"
)

// What the owner does not allow is refused before anything runs, by the name of
// the rule.
func TestPolicyIsTheOwnersWord(t *testing.T) {
	dir := t.TempDir()
	p := policy.Policy{Paths: []string{dir}, Commands: []string{"/bin/echo", "/usr/lib/ratchet/*"}, URLs: []string{"*.example.com"}, Users: []string{"app"}, Env: []string{"LANG", "LC_*"}, MaxSize: 1000}
	sum := strings.Repeat("0", 64)
	for _, c := range []struct {
		kind       executor.Kind
		with, want string
	}{
		{step.Command{Policy: p}, `{"argv":["/bin/echo"],"user":"app"}`, ""},
		{step.Command{Policy: p}, `{"argv":["/bin/echo"]}`, "policy.users"},
		{step.Command{Policy: p}, `{"argv":["/bin/echo"],"user":"root"}`, "policy.users"},
		{step.Command{Policy: p}, `{"argv":["/bin/sh"],"user":"app"}`, "policy.commands"},
		{step.Command{Policy: p}, `{"shell":"echo","user":"app"}`, "policy.commands"},
		{step.Command{Policy: p}, `{"argv":["/usr/lib/ratchet/../../../bin/sh"],"user":"app"}`, "policy.commands"},
		{step.Command{Policy: p}, `{"argv":["/usr/lib/ratchet/a/b"],"user":"app"}`, "policy.commands"},
		{step.Command{Policy: p}, `{"argv":["/usr/lib/ratchet/link/../a"],"user":"app"}`, "policy.commands"},
		{step.Command{Policy: p}, `{"argv":["../bin/echo"],"dir":"/bin","user":"app"}`, "policy.commands"},
		{step.Command{Policy: p}, `{"argv":["/bin/echo"],"user":"app","env":{"LD_PRELOAD":"` + dir + `/a.so"}}`, "env: LD_PRELOAD: policy.commands"},
		{step.Command{Policy: p}, `{"argv":["echo"],"user":"app","env":{"PATH":"` + dir + `"}}`, "env: PATH: policy.commands"},
		{step.Command{Policy: p}, `{"argv":["/bin/echo"],"user":"app","env":{"BASH_ENV":{"jq":".vars.x"}}}`, "env: BASH_ENV: policy.commands"},
		{step.Command{Policy: p}, `{"argv":["/bin/echo"],"user":"app","env":{"TZ":"UTC"}}`, "env: TZ: policy.commands is set, so a job sets only the variables that policy.env names"},
		{step.Command{Policy: p}, `{"argv":["/bin/echo"],"user":"app","env":{"TAR_OPTIONS":"--checkpoint=1"}}`, "env: TAR_OPTIONS: policy.commands"},
		{step.Command{Policy: p}, `{"argv":["/bin/echo"],"user":"app","env":{"LC_ALL":"C"}}`, ""},
		{step.File{Policy: p}, `{"path":"` + dir + `/a","content":"x"}`, ""},
		{step.File{Policy: p}, `{"path":"/etc/a","content":"x"}`, "policy.paths"},
		{step.Download{Policy: p}, `{"url":"http://a.example.com/x","sha256":"` + sum + `","to":"` + dir + `/a"}`, ""},
		{step.Download{Policy: p}, `{"url":"http://example.org/x","sha256":"` + sum + `","to":"` + dir + `/a"}`, "policy.urls"},
		{step.Download{Policy: p}, `{"url":"http://a.example.com@evil.org/x","sha256":"` + sum + `","to":"` + dir + `/a"}`, "policy.urls"},
		{step.Download{Policy: p}, `{"url":"http://a.example.com/x","sha256":"` + sum + `","to":"/etc/a"}`, "policy.paths"},
		{diagnostic.Kind{Policy: p}, `{"checks":[{"command":["/bin/sh","-c","true"]}]}`, "policy.commands"},
		{config.Kind{Policy: p}, `{"files":[{"path":"` + dir + `/a","content":"x"}],"apply":["/bin/echo",{"jq":".vars.x"}]}`, ""},
		{config.Kind{Policy: p}, `{"files":[{"path":"` + dir + `/a","content":"x"}],"apply":["/bin/sh"]}`, "apply: /bin/sh: policy.commands"},
		{config.Kind{Policy: p}, `{"files":[{"path":"/etc/a","content":"x"}]}`, "policy.paths"},
		{diagnostic.Kind{Policy: p}, `{"checks":[{"command":["/bin/echo"]}]}`, "policy.users"},
		{diagnostic.Kind{Policy: p}, `{"checks":[{"memory":true,"repair":["/bin/echo"]}]}`, "policy.users"},
		{diagnostic.Kind{Policy: p}, `{"collect":{"commands":[["/bin/echo"]],"to":"` + dir + `/b"}}`, "policy.users"},
		{config.Kind{Policy: p}, `{"files":[{"path":"` + dir + `/a","content":"x"}],"apply":["/bin/echo"]}`, "policy.users"},
		{config.Kind{Policy: p}, `{"files":[{"path":"` + dir + `/a","content":"x"}],"validate":["/bin/sh"]}`, "policy.commands"},
		{config.Kind{Policy: p}, `{"files":[{"path":"/etc/a","content":"x"}]}`, "policy.paths"},
		{upload.Kind{Policy: p}, `{"paths":["/etc/hostname"],"url":"http://example.org/x"}`, "policy.urls"},
		{data.Kind{Policy: p}, `{"inputs":["/etc/hostname"],"format":"text","jq":"inputs","output":"/etc/a"}`, "policy.paths"},
		{diagnostic.Kind{Policy: p}, `{"collect":{"files":["/etc/hostname"],"to":"/etc/b"}}`, "policy.paths"},
		{diagnostic.Kind{Policy: p}, `{"checks":[{"memory":true,"repair":["/sbin/reboot"]}]}`, "policy.commands"},
		{diagnostic.Kind{Policy: p}, `{"collect":{"commands":[["/bin/cat","/etc/shadow"]],"to":"` + dir + `/b"}}`, "policy.commands"},
	} {
		err := c.kind.Check(json.RawMessage(c.with))
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: got %v", c.with, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got %v, want %s", c.with, err, c.want)
		}
	}
	if err := p.Writable(filepath.Join(dir, "..", "a")); err == nil {
		t.Error("a path that leaves the tree was taken")
	}
	own := p
	own.Users = append(own.Users, strconv.Itoa(os.Geteuid()))
	if me, err := user.Current(); err == nil {
		own.Users = append(own.Users, me.Username)
	}
	if err := (step.Command{Policy: own}).Check(json.RawMessage(`{"argv":["/bin/echo"]}`)); err != nil {
		t.Errorf("the agent's own user, named: got %v", err)
	}
	for c, open := range map[string]executor.Kind{
		`{"checks":[{"command":["/bin/echo"]}]}`:                                   diagnostic.Kind{Policy: own},
		`{"files":[{"path":"` + dir + `/a","content":"x"}],"apply":["/bin/echo"]}`: config.Kind{Policy: own},
	} {
		if err := open.Check(json.RawMessage(c)); err != nil {
			t.Errorf("%s: got %v", c, err)
		}
	}
	if err := check.Permit(p, json.RawMessage(`{"command":["/bin/sh"]}`)); err == nil {
		t.Error("a check may run what a step may not")
	}
}

// What the device fills in is judged when it is known: before anything is
// written.
func TestAProgramThatTheDeviceFillsInIsJudgedBeforeItRuns(t *testing.T) {
	dir := t.TempDir()
	k := config.Kind{Policy: policy.Policy{Commands: []string{"/bin/echo"}}}
	open := `{"files":[{"path":"` + dir + `/a","content":"x"}],"apply":[{"jq":".vars.program"}]}`
	if err := k.Check(json.RawMessage(open)); err != nil {
		t.Errorf("got %v while it is open, want nothing", err)
	}
	filled := strings.Replace(open, `{"jq":".vars.program"}`, `"/bin/sh"`, 1)
	task := executor.NewTask(executor.Task{With: json.RawMessage(filled), Dir: filepath.Join(dir, "undo")}, nil, nil, nil)
	if err := k.Run(t.Context(), task); err == nil || !strings.Contains(err.Error(), "policy.commands") {
		t.Errorf("got %v, want policy.commands in it", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "a")); err == nil {
		t.Error("the file was written for a program that may not run")
	}
}
