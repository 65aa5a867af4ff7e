package step_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/process"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// leader starts a group whose leader has a child, and returns the ids of both.
func leader(t *testing.T) (cmd *exec.Cmd, child int) {
	t.Helper()
	cmd = exec.Command("/bin/sh", "-c", "sleep 100 & echo $!; wait")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	if _, err := fmt.Fscan(out, &child); err != nil {
		t.Fatal(err)
	}
	return cmd, child
}

func TestLeftoversOfAKilledAgentAreKilled(t *testing.T) {
	for _, leaderLives := range []bool{true, false} {
		t.Run(fmt.Sprint("leader lives: ", leaderLives), func(t *testing.T) {
			g := process.Groups{Dir: filepath.Join(t.TempDir(), "run"), Boot: "boot-1"}
			cmd, child := leader(t)
			if err := g.Add(cmd.Process.Pid); err != nil {
				t.Fatal(err)
			}
			if !leaderLives {
				_ = cmd.Process.Kill()
				_, _ = cmd.Process.Wait()
			}
			if err := g.KillLeftovers(); err != nil {
				t.Fatal(err)
			}
			if alive(child) || alive(cmd.Process.Pid) {
				t.Error("got a leftover that lives, want it dead")
			}
			wantEmpty(t, g.Dir)
		})
	}
}

func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("%s: got %v, %v, want it empty", dir, entries, err)
	}
}

// TestAReusedIdIsNotKilled: another boot, or another process under the id.
func TestAReusedIdIsNotKilled(t *testing.T) {
	for name, forge := range map[string]func(note string) string{
		"another boot":  func(note string) string { return strings.Replace(note, "boot-1", "boot-0", 1) },
		"another start": func(string) string { return "boot-1 1\n" },
		"torn note":     func(note string) string { return note[:4] },
		"empty note":    func(string) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			g := process.Groups{Dir: filepath.Join(t.TempDir(), "run"), Boot: "boot-1"}
			cmd, child := leader(t)
			if err := g.Add(cmd.Process.Pid); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(g.Dir, strconv.Itoa(cmd.Process.Pid))
			note, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(forge(string(note))), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := g.KillLeftovers(); err != nil {
				t.Fatal(err)
			}
			if !alive(child) || !alive(cmd.Process.Pid) {
				t.Error("got an innocent process killed, want it alive")
			}
			wantEmpty(t, g.Dir)
		})
	}
}

// TestAForeignDirIsNotTrusted: whoever makes it in /tmp first could have any
// process killed.
func TestAForeignDirIsNotTrusted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	g := process.Groups{Dir: dir, Boot: "boot-1"}
	steptest.WantError(t, g.KillLeftovers(), "not the agent's own with mode 0700: remove it")
	steptest.WantError(t, g.Add(os.Getpid()), "not the agent's own")
}

func TestARunningCommandIsNotedAndForgotten(t *testing.T) {
	g := process.Groups{Dir: filepath.Join(t.TempDir(), "run"), Boot: "boot-1"}
	a := steptest.NewAttempt(t, `{"shell":"sleep 0.2; cat %s/$$"}`, g.Dir)
	if err := a.Run(t.Context(), step.Command{Groups: g}); err != nil {
		t.Fatal(err)
	}
	if got := a.Out.String(); !strings.HasPrefix(got, "boot-1 ") {
		t.Errorf("got the note %q, want the boot and a start time", got)
	}
	wantEmpty(t, g.Dir)
}

const asAgent = "STEP_TEST_AGENT"

// TestTheChildDiesWithTheAgent runs a command in a process of its own, which
// is then killed: the parent-death signal ends the command.
func TestTheChildDiesWithTheAgent(t *testing.T) {
	if file := os.Getenv(asAgent); file != "" {
		a := steptest.NewAttempt(t, `{"shell":"echo $$ > %s; exec sleep 100"}`, file)
		t.Fatal("the command ended: ", a.Run(t.Context(), step.Command{}))
	}
	file := filepath.Join(t.TempDir(), "pid")
	agent := exec.Command(os.Args[0], "-test.run=^TestTheChildDiesWithTheAgent$")
	agent.Env = append(os.Environ(), asAgent+"="+file, "TMPDIR="+t.TempDir())
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	steptest.Eventually(t, "the start of the command", func() bool {
		data, _ := os.ReadFile(file)
		n, _ := fmt.Sscan(string(data), &pid)
		return n == 1 && alive(pid)
	})
	_ = agent.Process.Kill()
	_ = agent.Wait()
	steptest.Eventually(t, "the end of the command", func() bool { return !alive(pid) })
}
