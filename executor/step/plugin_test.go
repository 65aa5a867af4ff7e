package step_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// plugged is a plugin step that runs a shell script, and its kind.
func plugged(t *testing.T, script string) (*steptest.Attempt, step.Plugin) {
	t.Helper()
	dir := t.TempDir()
	steptest.InstallPlugin(t, dir, "p", "#!/bin/sh\n"+script)
	return steptest.NewAttempt(t, `{"name":"p","with":{"a":[1,"x"]}}`), step.Plugin{Dir: dir}
}

func TestPluginSaysWhatItHasToSay(t *testing.T) {
	a, k := plugged(t, `
echo "$1 $RATCHET_STEP"; echo err >&2
cat
echo '{"progress":0.25,"output":"by line"}' >&3
printf '{"result":{"n":1}}\n{"output":"without an end"}' >&3`)
	task := a.Next()
	if err := k.Run(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"run the step\n", "by line\n", "without an end\n",
		`{"job":"job-1","step":"the step","attempt":1,"with":{"a":[1,"x"]},"state":null}` + "\n"} {
		if got := a.Out.String(); !strings.Contains(got, want) {
			t.Errorf("got output %q, want %q in it", got, want)
		}
	}
	if got := a.ErrOut.String(); got != "err\n" {
		t.Errorf("got stderr %q, want err", got)
	}
	if got := string(task.Result); got != `{"n":1}` || a.Fraction != 0.25 {
		t.Errorf("got result %s and progress %v, want {\"n\":1} and 0.25", got, a.Fraction)
	}
}

// TestStateIsDurableBeforeItIsAcknowledged: the plugin looks, on every ok, at
// what is saved.
func TestStateIsDurableBeforeItIsAcknowledged(t *testing.T) {
	a, k := plugged(t, `
for i in 1 2 3; do
	printf '{"state":{"i":%d}}\n' $i >&3
	read -r ok <&4
	[ "$ok" = ok ] || exit 9
	[ "$(cat "$0.saved")" = "{\"i\":$i}" ] || exit 8
done`)
	task := executor.NewTask(a.Task, nil, func(state json.RawMessage, _ bool) error {
		time.Sleep(20 * time.Millisecond)
		return os.WriteFile(filepath.Join(k.Dir, "p.saved"), state, 0o644)
	}, func(float64) {})
	if err := k.Run(t.Context(), task); err != nil {
		t.Errorf("got %v, want each ok behind its save", err)
	}
}

func TestPluginGetsItsStateBack(t *testing.T) {
	a, k := plugged(t, `
input=$(cat)
echo "$1 $input"
case $1 in
run) echo '{"state":["armed"]}' >&3; read -r ok <&4; kill -KILL $$ ;;
verify) exit 1 ;;
esac`)
	steptest.WantError(t, a.Run(t.Context(), k), "killed by SIGKILL")
	steptest.WantError(t, a.Run(t.Context(), k), "killed by SIGKILL")
	if err := a.Undo(k); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`run {"job":"job-1","step":"the step","attempt":1,"with":{"a":[1,"x"]},"state":null}`,
		`verify {"job":"job-1","step":"the step","attempt":2,"with":{"a":[1,"x"]},"state":["armed"]}`,
		`run {"job":"job-1","step":"the step","attempt":2,"with":{"a":[1,"x"]},"state":["armed"]}`,
		`undo {"job":"job-1","step":"the step","attempt":3,"with":{"a":[1,"x"]},"state":["armed"]}`} {
		if got := a.Out.String(); !strings.Contains(got, want) {
			t.Errorf("got output %q, want %q in it", got, want)
		}
	}
}

// TestStateThatNobodyWaitsForIsKept: the last one, when it has ended.
func TestStateThatNobodyWaitsForIsKept(t *testing.T) {
	a, k := plugged(t, `for i in 1 2 3; do echo '{"state":'$i'}' >&3; done; exec 3>&-; exit 3`)
	steptest.WantError(t, a.Run(t.Context(), k), "exit status 3")
	if got := string(a.Saved); got != "3" {
		t.Errorf("got state %s, want 3", got)
	}
}

func TestPluginThatWasDoneIsNotRunAgain(t *testing.T) {
	a, k := plugged(t, `echo $1; [ $1 = verify ]`)
	steptest.WantError(t, a.Run(t.Context(), k), "exit status 1")
	if err := a.Run(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	if got, want := a.Out.String(), "run\nverify\nit was done already\n"; got != want {
		t.Errorf("got output %q, want %q", got, want)
	}
}

func TestPluginUndo(t *testing.T) {
	for status, want := range map[int]string{0: "", 1: "exit status 1", 64: "the plugin p: it has no undo: what it did stays"} {
		a, k := plugged(t, fmt.Sprintf("exit %d", status))
		err := a.Undo(k)
		if want == "" && err != nil {
			t.Errorf("got %v, want success", err)
		}
		if want != "" {
			steptest.WantError(t, err, want)
		}
	}
}

func TestPluginThatBreaksTheContractIsEnded(t *testing.T) {
	for _, tt := range []struct{ name, script, want string }{
		{"no JSON", `echo hello >&3; sleep 100`, "line 1 that the plugin p wrote to descriptor 3: not JSON"},
		{"an unknown field", `echo '{"progress":1}' >&3; echo '{"sate":1}' >&3; sleep 100`, "line 2 that the plugin p wrote to descriptor 3: sate: unknown field"},
		{"a long line", `head -c 70000 /dev/zero | tr '\0' x >&3; sleep 100`, "a line to descriptor 3 that is longer than 64 KiB"},
		{"a big state", `printf '{"state":"%20000s"}\n' >&3; sleep 100`, "a state of 20002 bytes: at most 16384 are kept"},
		{"a death", `echo '{"progress":0.5}' >&3; kill -9 $$`, "SIGKILL"},
		{"a flood of nonsense", `yes >&3`, "line 1 that the plugin p wrote to descriptor 3: not JSON"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, k := plugged(t, "echo $$\n"+tt.script)
			began := time.Now()
			steptest.WantError(t, a.Run(t.Context(), k), tt.want)
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("got an end after %s, want one at once", took)
			}
			wantDead(t, a.Out.String())
		})
	}
}

// TestAFloodOfStateIsHeldBack: each is a write to flash.
func TestAFloodOfStateIsHeldBack(t *testing.T) {
	t.Parallel()
	a, k := plugged(t, `while :; do echo '{"state":1}' >&3; done`)
	a.Timeout = executor.Duration(3500 * time.Millisecond)
	steptest.WantError(t, a.Run(t.Context(), k), "timed out after 3.5s")
	if a.Saves < 11 || a.Saves > 15 {
		t.Errorf("got %d saves in 3.5 s, want 10 and one a second", a.Saves)
	}
}

// TestAFloodOfOutputIsNoHarm, and neither is a plugin that never reads an ok.
func TestAFloodOfOutputIsNoHarm(t *testing.T) {
	t.Parallel()
	a, k := plugged(t, `yes '{"progress":0.5,"output":"y"}' | head -n 200000 >&3; head -c 3000000 /dev/zero; echo '{"state":7}' >&3`)
	if err := a.Run(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(a.Out.String(), "y\n"); got != 200000 || string(a.Saved) != "7" {
		t.Errorf("got %d lines and state %s, want 200000 and 7", got, a.Saved)
	}
}

func TestPluginEndsWithItsStep(t *testing.T) {
	why := errors.New("cancelled by the operator")
	for _, tt := range []struct {
		name, script string
		timeout      time.Duration
		want         string
		within       time.Duration
	}{
		{"timeout", `sleep 100 & echo $!; wait`, 500 * time.Millisecond, "timed out after 500ms", 4 * time.Second},
		{"cancel", `sleep 100 & echo $!; wait`, time.Hour, why.Error(), 4 * time.Second},
		{"deaf", `trap '' TERM; while :; do sleep 1; done`, 500 * time.Millisecond, "timed out after 500ms", 9 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, k := plugged(t, "echo $$\n"+tt.script)
			a.Timeout = executor.Duration(tt.timeout)
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			time.AfterFunc(time.Second, func() { cancel(why) })
			began := time.Now()
			steptest.WantError(t, a.Run(ctx, k), tt.want)
			if took := time.Since(began); took > tt.within {
				t.Errorf("got an end after %s, want one within %s", took, tt.within)
			}
			wantDead(t, a.Out.String())
		})
	}
}

// TestAnEscapedChildOfAPluginIsNotWaitedFor, though it holds descriptor 3.
func TestAnEscapedChildOfAPluginIsNotWaitedFor(t *testing.T) {
	for name, child := range map[string]string{"silent": "exec sleep 100", "talks": "while sleep 0.01; do echo '{}' >&3; done"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, k := plugged(t, fmt.Sprintf(`setsid sh -c 'echo $$ >"$0.pid"; %s' "$0" >/dev/null 2>&1 </dev/null &
while [ ! -s "$0.pid" ]; do sleep 0.01; done; echo '{"state":1}' >&3`, strings.ReplaceAll(child, "'", `'\''`)))
			began := time.Now()
			err := a.Run(t.Context(), k)
			pid := strings.TrimSpace(steptest.ReadFile(t, filepath.Join(k.Dir, "p.pid")))
			defer func() { _ = exec.Command("kill", pid).Run() }()
			if err != nil || string(a.Saved) != "1" {
				t.Errorf("got %v and state %s, want success and 1", err, a.Saved)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("got an end after %s, want one soon", took)
			}
		})
	}
}

func TestPluginIsTrustedByWhoCanWriteIt(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(dir string) error
		want  string
	}{
		{"world can write it", func(dir string) error { return os.Chmod(filepath.Join(dir, "p"), 0o757) }, "could be changed by others"},
		{"a group can write it", func(dir string) error { return os.Chmod(filepath.Join(dir, "p"), 0o775) }, "could be changed by others"},
		{"world can write the folder", func(dir string) error { return os.Chmod(dir, 0o777) }, "could be changed by others"},
		{"world can write one above", func(dir string) error { return os.Chmod(filepath.Dir(dir), 0o777) }, "others can write"},
		{"no executable", func(dir string) error { return os.Chmod(filepath.Join(dir, "p"), 0o644) }, "is no executable file"},
		{"missing", func(dir string) error { return os.Remove(filepath.Join(dir, "p")) }, "does not exist on this device: install it there"},
		{"no folder", os.RemoveAll, "does not exist on this device"},
		{"a link", func(dir string) error {
			return errors.Join(os.Rename(filepath.Join(dir, "p"), filepath.Join(dir, "q")), os.Symlink("q", filepath.Join(dir, "p")))
		}, "could be changed by others"},
		{"somebody else's", func(dir string) error { return os.Chown(filepath.Join(dir, "p"), 65534, 0) }, "could be changed by others"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, k := plugged(t, `exit 0`)
			if err := tt.spoil(k.Dir); errors.Is(err, os.ErrPermission) {
				t.Skip("only root can give a file away")
			} else if err != nil {
				t.Fatal(err)
			}
			steptest.WantError(t, a.Run(t.Context(), k), tt.want)
			steptest.WantError(t, a.Undo(k), tt.want)
		})
	}
}

func TestPluginRefuses(t *testing.T) {
	for with, want := range map[string]string{
		`{}`:                      `name: ""`,
		`{"name":"../sh"}`:        `name: "../sh"`,
		`{"name":"a/b"}`:          `name: "a/b"`,
		`{"name":"-x"}`:           `name: "-x"`,
		`{"name":"."}`:            `name: "."`,
		`{"name":"a","with":[1]}`: "with: want an object",
		`{"name":"a","argv":[]}`:  "argv: unknown field",
	} {
		steptest.WantError(t, step.Plugin{}.Check([]byte(with)), want)
	}
	if err := (step.Plugin{}).Check([]byte(`{"name":"a","with":{"url":{"jq":".vars.x"}}}`)); err != nil {
		t.Errorf("got %v, want values that the device fills in to be taken", err)
	}
}

// examples installs the plugins of scripts/plugins.
func examples(t *testing.T) step.Plugin {
	t.Helper()
	k := step.Plugin{Dir: t.TempDir()}
	for _, name := range []string{"note", "records"} {
		steptest.InstallPlugin(t, k.Dir, name, steptest.ReadFile(t, filepath.Join("../../scripts/plugins", name)))
	}
	return k
}

func TestTheShellExampleKeepsTheContract(t *testing.T) {
	if _, err := exec.LookPath("jq"); err != nil {
		t.Skip("jq, which the example reads its parameters with, is not installed")
	}
	for _, before := range []string{"", "old\n"} {
		k, dir := examples(t), t.TempDir()
		path := filepath.Join(dir, "motd")
		if before != "" {
			steptest.WriteFile(t, path, before)
		}
		a := steptest.NewAttempt(t, `{"name":"note","with":{"path":%q,"text":"hello"}}`, path)
		for range 2 { // the second time it says that it was done
			if err := a.Run(t.Context(), k); err != nil {
				t.Fatalf("%v: %s", err, a.ErrOut.String())
			}
		}
		if got := steptest.ReadFile(t, path); got != "hello\n" || !strings.Contains(a.Out.String(), "it was done already") {
			t.Errorf("got %q, output %q, want hello, and that it was done already", got, a.Out.String())
		}
		for range 2 {
			if err := a.Undo(k); err != nil {
				t.Fatalf("%v: %s", err, a.ErrOut.String())
			}
			if got, _ := os.ReadFile(path); string(got) != before {
				t.Errorf("got %q after undo, want %q", got, before)
			}
		}
		if left, _ := os.ReadDir(dir); len(left) != len(before)/len("old\n") {
			t.Errorf("got %v left, want only what was", left)
		}
	}
}

func TestThePythonExampleKeepsTheContract(t *testing.T) {
	if _, err := exec.LookPath("/usr/bin/python3"); err != nil {
		t.Skip("python3 is not installed")
	}
	k, dir := examples(t), t.TempDir()
	steptest.WriteFile(t, filepath.Join(dir, "a"), "1\n2\n")
	a := steptest.NewAttempt(t, `{"name":"records","with":{"files":["%s/a","%[1]s/b"]}}`, dir)
	steptest.WantError(t, a.Run(t.Context(), k), "exit status 1") // there is no b
	steptest.WriteFile(t, filepath.Join(dir, "a"), "")            // it was counted: it is not read again
	steptest.WriteFile(t, filepath.Join(dir, "b"), "1\n")
	task := a.Next()
	if err := k.Run(t.Context(), task); err != nil {
		t.Fatalf("%v: %s", err, a.ErrOut.String())
	}
	want := fmt.Sprintf(`{"lines": {"%s/a": 2, "%[1]s/b": 1}}`, dir)
	if got := string(task.Result); got != want || a.Fraction != 1 {
		t.Errorf("got %s, progress %v, want %s and 1", got, a.Fraction, want)
	}
	steptest.WantError(t, a.Undo(k), "has no undo")
}

// Where the plugin is not installed, nothing was begun that could be undone.
func TestAMissingPluginHasNothingToUndo(t *testing.T) {
	a := steptest.NewAttempt(t, `{"name":"nowhere"}`)
	err := a.Run(t.Context(), step.Plugin{Dir: t.TempDir()})
	if !errors.As(err, new(executor.NotBegun)) {
		t.Errorf("got %v, want that it has not begun", err)
	}
}
