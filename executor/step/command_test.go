package step_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

func TestCommandEndsAsItSays(t *testing.T) {
	for _, tt := range []struct {
		name, with, out, err string
	}{
		{"argv is no shell", `{"argv":["echo","$HOME","*"]}`, "$HOME *\n", ""},
		{"a shell script", `{"shell":"echo a; echo b"}`, "a\nb\n", ""},
		{"exit status", `{"shell":"exit 3"}`, "", "exit status 3"},
		{"a code that is fine", `{"shell":"exit 3","okCodes":[0,3]}`, "", ""},
		{"zero is not fine when only 3 is", `{"shell":"exit 0","okCodes":[3]}`, "", "exit status 0"},
		{"death by a signal", `{"shell":"kill -KILL $$"}`, "", "killed by SIGKILL"},
		{"death by a signal is no exit code", `{"shell":"kill -SEGV $$","okCodes":[0,11,139]}`, "", "killed by SIGSEGV"},
		{"stdin", `{"argv":["cat"],"stdin":"typed"}`, "typed", ""},
		{"no stdin is an empty one", `{"argv":["cat"]}`, "", ""},
		{"stdin that nobody reads", `{"argv":["true"],"stdin":"` + strings.Repeat("x", 100_000) + `"}`, "", ""},
		{"env", `{"shell":"echo $A","env":{"A":"1 2"}}`, "1 2\n", ""},
		{"dir", `{"argv":["pwd"],"dir":"/usr"}`, "/usr\n", ""},
		{"no such dir", `{"argv":["pwd"],"dir":"/nowhere"}`, "", "dir: /nowhere is no directory on this device"},
		{"no such program", `{"argv":["no-such-program"]}`, "", "starting no-such-program: not found in /usr/local/sbin"},
		{"no such path", `{"argv":["/no/such"]}`, "", "starting /no/such: no such file or directory"},
		{"no such user", `{"argv":["true"],"user":"nobody-here"}`, "", `user "nobody-here" does not exist on this device`},
		{"as many lines on stderr as it may have", `{"shell":"echo a >&2; printf b >&2","stderrLines":2}`, "", ""},
		{"more lines on stderr", `{"shell":"echo a >&2; printf b >&2","stderrLines":1}`, "", "2 lines on stderr: at most 1 are taken"},
		{"an exit status before lines", `{"shell":"echo a >&2; exit 4","stderrLines":0}`, "", "exit status 4"},
		{"attempt, step and job", `{"shell":"echo $RATCHET_JOB,$RATCHET_STEP,$RATCHET_ATTEMPT"}`, "job-1,the step,1\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := steptest.NewAttempt(t, "%s", tt.with)
			err := a.Run(t.Context(), step.Command{})
			if tt.err == "" && err != nil {
				t.Errorf("got %v, want success", err)
			}
			if tt.err != "" {
				steptest.WantError(t, err, tt.err)
			}
			if got := a.Out.String(); got != tt.out {
				t.Errorf("got output %q, want %q", got, tt.out)
			}
		})
	}
}

func TestCommandInheritsNothingOfTheAgent(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://user:secret@proxy")
	a := steptest.NewAttempt(t, `{"argv":["env"]}`)
	if err := a.Run(t.Context(), step.Command{}); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(a.Out.String()) {
		name, _, _ := strings.Cut(line, "=")
		switch name {
		case "PATH", "HOME", "LANG", "USER", "LOGNAME", "SHELL", "RATCHET_JOB", "RATCHET_STEP", "RATCHET_ATTEMPT":
		default:
			t.Errorf("got %q, want only what is listed", line)
		}
	}
}

func TestCommandRunsAsUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	a := steptest.NewAttempt(t, `{"shell":"id -un; id -G; echo $HOME","user":"nobody"}`)
	if err := a.Run(t.Context(), step.Command{}); err != nil {
		t.Fatal(err)
	}
	if got := a.Out.String(); !strings.HasPrefix(got, "nobody\n") || strings.Contains(got, "\n0\n") {
		t.Errorf("got %q, want nobody, and not in root's group", got)
	}
}

func TestCommandIsNice(t *testing.T) {
	before, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	a := steptest.NewAttempt(t, `{"argv":["nice"],"nice":7}`)
	if err := a.Run(t.Context(), step.Command{}); err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(a.Out.String()); got != "7" {
		t.Errorf("got niceness %s, want 7", got)
	}
	if own, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0); err != nil || own != before {
		t.Errorf("the agent's own priority: got %d, %v, want the %d of before", own, err, before)
	}
}

// TestBothPipesAreDrained: a reader that took one after the other would hang
// at 64 KiB.
func TestBothPipesAreDrained(t *testing.T) {
	a := steptest.NewAttempt(t, `{"shell":"head -c 1000000 /dev/zero >&2; head -c 2000000 /dev/zero"}`)
	if err := a.Run(t.Context(), step.Command{}); err != nil {
		t.Fatal(err)
	}
	if got, want := [2]int{len(a.Out.String()), len(a.ErrOut.String())}, [2]int{2000000, 1000000}; got != want {
		t.Errorf("got %d bytes, want %d", got, want)
	}
}

func TestTimeoutKillsTheWholeGroup(t *testing.T) {
	for _, tt := range []struct {
		name, script string
		min, max     time.Duration
	}{
		{"polite", `sleep 100 & echo $!; echo $$; wait`, 0, 4 * time.Second},
		{"deaf", `trap '' TERM; sleep 100 & echo $!; echo $$; while :; do sleep 100; done`, 5 * time.Second, 9 * time.Second},
		{"only the child is deaf", `(trap '' TERM; exec sleep 100) & echo $!; echo $$; wait`, 5 * time.Second, 9 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := steptest.NewAttempt(t, `{"shell":%q}`, tt.script)
			a.Timeout = executor.Duration(500 * time.Millisecond)
			began := time.Now()
			err := a.Run(t.Context(), step.Command{})
			steptest.WantError(t, err, "timed out after 500ms")
			if took := time.Since(began) - 500*time.Millisecond; took < tt.min || took > tt.max {
				t.Errorf("got an end %s after the timeout, want %s to %s", took, tt.min, tt.max)
			}
			wantDead(t, a.Out.String())
		})
	}
}

// wantDead asserts that none of the processes lives whose ids are in text.
func wantDead(t *testing.T, text string) {
	t.Helper()
	pids := strings.Fields(text)
	if len(pids) == 0 {
		t.Error("got no process id from the script, want some")
	}
	for _, field := range pids {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		steptest.Eventually(t, "the end of process "+field, func() bool { return !alive(pid) })
	}
}

// alive reports whether a process is there and no zombie.
func alive(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(data), ") Z ")
}

func TestCancelSaysWhy(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("cancelled by the operator")
	time.AfterFunc(300*time.Millisecond, func() { cancel(why) })
	a := steptest.NewAttempt(t, `{"shell":"echo $$; exec sleep 100"}`)
	if err := a.Run(ctx, step.Command{}); err != why {
		t.Errorf("got %v, want %v", err, why)
	}
	wantDead(t, a.Out.String())
}

func TestNothingIsStartedWhenItIsOver(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	file := filepath.Join(t.TempDir(), "f")
	a := steptest.NewAttempt(t, `{"argv":["touch",%q]}`, file)
	if err := a.Run(ctx, step.Command{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("got a command that ran, want none")
	}
}

// TestNothingOutlivesAStepThatFails: a child in the background ends with the command,
// unless that ended as it should.
func TestNothingOutlivesAStepThatFails(t *testing.T) {
	for script, stays := range map[string]bool{"exit 3": true, "exit 4": false} {
		a := steptest.NewAttempt(t, `{"shell":"sleep 1000 >/dev/null 2>&1 & echo $!; %s","okCodes":[3]}`, script)
		if err := a.Run(t.Context(), step.Command{}); (err == nil) != stays {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(a.Out.String()))
		if err != nil {
			t.Fatal(err)
		}
		if alive(pid) != stays {
			t.Errorf("%s: its child lives: %v, want %v", script, !stays, stays)
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// TestAnEscapedChildDoesNotHangTheStep: it left the group and holds the pipe.
func TestAnEscapedChildDoesNotHangTheStep(t *testing.T) {
	t.Parallel()
	a := steptest.NewAttempt(t, `{"shell":"setsid sh -c 'echo $$; exec sleep 100' & sleep 0.5; echo over"}`)
	began := time.Now()
	err := a.Run(t.Context(), step.Command{})
	for field := range strings.FieldsSeq(a.Out.String()) {
		if pid, err := strconv.Atoi(field); err == nil {
			defer func() { _ = syscall.Kill(pid, syscall.SIGKILL) }()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("got an end after %s, want one soon", took)
	}
	if !strings.Contains(a.Out.String(), "over") {
		t.Errorf("got %q, want the output from before", a.Out.String())
	}
}

func TestCommandRefuses(t *testing.T) {
	for with, want := range map[string]string{
		`{}`:                               "exactly one of argv and shell",
		`{"argv":["a"],"shell":"b"}`:       "exactly one of argv and shell",
		`{"argv":[""]}`:                    "argv[0]",
		`{"argv":"ls -l"}`:                 "argv: want a list",
		`{"argv":["a\u0000b"]}`:            "argv[0]: holds a NUL",
		`{"argv":["a"],"env":{"A=B":"c"}}`: `env: "A=B"`,
		`{"argv":["a"],"nice":30}`:         "nice: 30: want -20 to 19",
		`{"argv":["a"],"okCodes":[256]}`:   "okCodes[0]: 256",
		`{"argv":["a"],"dir":"relative"}`:  "dir: ",
		`{"argv":["a"],"cwd":"/"}`:         "cwd: unknown field",
	} {
		steptest.WantError(t, step.Command{}.Check([]byte(with)), want)
	}
}

// Where the owner lets a job set every variable, its PATH still brings no program
// of its own.
func TestAPathOfTheJobsLeadsToNoProgramBeyondCommands(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "true"), []byte("#!/bin/sh\necho evil\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	found, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	kind := step.Command{Policy: policy.Policy{Commands: []string{found, "/bin/true", "/usr/bin/true"}, Env: []string{"*"}}}
	a := steptest.NewAttempt(t, `{"argv":["true"],"env":{"PATH":%q}}`, dir)
	steptest.WantError(t, a.Run(t.Context(), kind), "argv[0]: true would be looked for in the job's PATH")
	if got := a.Out.String(); got != "" {
		t.Errorf("it ran, and said %q", got)
	}
}
