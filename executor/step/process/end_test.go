package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// escapes are ways of a child to be out of reach of a signal to the process group.
// Each writes its id to $1 when it has got away.
var escapes = map[string]string{
	"in the group":           `sleep 1000 & echo $! >"$1"`,
	"in a session":           `setsid sh -c 'echo $$ >"$1"; exec sleep 1000' x "$1" >/dev/null 2>&1 & while [ ! -s "$1" ]; do sleep 0.01; done`,
	"in a session, orphaned": `(setsid sh -c 'echo $$ >"$1"; exec sleep 1000' x "$1" >/dev/null 2>&1 &) & while [ ! -s "$1" ]; do sleep 0.01; done`,
	"a child of an orphan":   `(setsid sh -c 'sleep 1000 & echo $! >"$1"; wait' x "$1" >/dev/null 2>&1 &) & while [ ! -s "$1" ]; do sleep 0.01; done`,
	"deaf":                   `(setsid sh -c 'trap "" TERM; echo $$ >"$1"; while :; do sleep 1000; done' x "$1" >/dev/null 2>&1 &) & while [ ! -s "$1" ]; do sleep 0.01; done`,
}

// ways are with control groups, where this machine lets the test make them, and
// without.
func ways(t *testing.T) map[string]string {
	if err := Adopt(); err != nil {
		t.Fatal(err)
	}
	list := map[string]string{"without control groups": ""}
	if dir := ControlGroups(); dir != "" {
		list["with control groups"] = dir
	} else {
		t.Log("no control groups of version 2 can be made here: only the other way is tried")
	}
	return list
}

// TestNothingOutlivesAProgramThatDidNotEndWell: neither when it is cut, nor when it
// fails. What one that ended well has started stays.
func TestNothingOutlivesAProgramThatDidNotEndWell(t *testing.T) {
	for way, control := range ways(t) {
		for name, escape := range escapes {
			for end, script := range map[string]string{"cut": "sleep 1000", "failure": "exit 7", "killed by itself": "kill -9 $$", "success": "exit 0", "a code that is fine": "exit 3"} {
				t.Run(way+"/"+name+"/"+end, func(t *testing.T) {
					file := filepath.Join(t.TempDir(), "pid")
					p := shellProgram(control, escape+"\n"+script, file)
					p.OKCodes = []int{0, 3}
					ctx, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					why := errors.New("cancelled")
					if end == "cut" {
						go func() { waitFor(t, file); cancel(why) }()
					}
					_, err := p.Run(ctx)
					if end == "cut" && err != why || end != "cut" && err != nil {
						t.Errorf("got %v", err)
					}
					pid := pidIn(t, file)
					stays := end == "success" || end == "a code that is fine"
					if got := lives(pid); got != stays {
						t.Errorf("it lives: %v, want %v", got, stays)
					}
					if s, ok := ReadStat(pid); ok && stays {
						_ = syscall.Kill(-s.group, syscall.SIGKILL)
					}
					wantNoCgroup(t, control)
				})
			}
		}
	}
}

// TestADaemonOfAnEarlierProgramStays when a later one is cut.
func TestADaemonOfAnEarlierProgramStays(t *testing.T) {
	for way, control := range ways(t) {
		t.Run(way, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "pid")
			if _, err := shellProgram(control, escapes["in a session, orphaned"], file).Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			pid := pidIn(t, file)
			defer func() { _ = syscall.Kill(pid, syscall.SIGKILL) }()
			time.Sleep(20 * time.Millisecond) // the kernel counts start times in hundredths of a second
			if status, err := shellProgram(control, "sleep 0.1; exit 1", "").Run(t.Context()); err != nil || status.ExitStatus() != 1 {
				t.Fatal(status, err)
			}
			if !lives(pid) {
				t.Error("it was killed with the later program, want it alive")
			}
		})
	}
}

// TestProgramsThatRunAtOnceShareNoControlGroup: the end of one is not that of another.
func TestProgramsThatRunAtOnceShareNoControlGroup(t *testing.T) {
	control := ControlGroups()
	if control == "" {
		t.Skip("no control groups of version 2 can be made here")
	}
	// Where there are control groups the agent takes no orphans in: whose they are
	// is not known when two programs run at once.
	was := adopting.Swap(false)
	defer adopting.Store(was)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			file := filepath.Join(t.TempDir(), "pid")
			p := shellProgram(control, fmt.Sprintf("%s; exit %d", escapes["in a session"], i%2), file)
			if _, err := p.Run(t.Context()); err != nil {
				t.Error(err)
			}
			pid := pidIn(t, file)
			if lives(pid) != (i%2 == 0) {
				t.Errorf("exit status %d: its child lives: %v", i%2, lives(pid))
			}
			_ = syscall.Kill(pid, syscall.SIGKILL)
		})
	}
	all.Wait()
}

// TestWhatCannotBeBornInItsControlGroupIsMovedThere, as where a seccomp filter keeps
// clone3 from the agent.
func TestWhatCannotBeBornInItsControlGroupIsMovedThere(t *testing.T) {
	dir := ControlGroups()
	if dir == "" {
		t.Skip("no control groups of version 2 can be made here")
	}
	file := filepath.Join(t.TempDir(), "pid")
	cmd := exec.Command("/bin/sh", "-c", escapes["in a session"]+"; sleep 1000", "x", file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, file)
	c, err := newCgroup(dir)
	if err != nil {
		t.Fatal(err)
	}
	c.take(cmd.Process.Pid)
	if err := c.end(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()
	if lives(pidIn(t, file)) {
		t.Error("the child in a session of its own lives, want it dead")
	}
}

// TestAKernelWithoutCgroupKillEndsAllTheSame, and what made control groups of its own.
func TestAKernelWithoutCgroupKillEndsAllTheSame(t *testing.T) {
	dir := ControlGroups()
	if dir == "" {
		t.Skip("no control groups of version 2 can be made here")
	}
	c, err := newCgroup(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(c.dir, "a/b"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	below := &cgroup{filepath.Join(c.dir, "a/b")}
	below.take(cmd.Process.Pid)
	if got := c.members(); len(got) != 1 || got[0] != cmd.Process.Pid {
		t.Fatalf("got members %v, want %d", got, cmd.Process.Pid)
	}
	c.killEach()
	_ = cmd.Wait()
	if err := c.end(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(c.dir); err == nil {
		t.Error("the control group is still there")
	}
}

// TestLeftoversThatLeftTheirGroupAreKilled at the start of the next agent; a daemon
// of a step that had ended well is not.
func TestLeftoversThatLeftTheirGroupAreKilled(t *testing.T) {
	for way, control := range ways(t) {
		t.Run(way, func(t *testing.T) {
			g := Groups{Dir: filepath.Join(t.TempDir(), "run"), Boot: "boot-1", Control: control}
			file, kept := filepath.Join(t.TempDir(), "pid"), filepath.Join(t.TempDir(), "kept")
			daemon := shellProgram(control, escapes["in a session, orphaned"], kept)
			daemon.Groups = g
			if _, err := daemon.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond)
			p := shellProgram(control, escapes["in a session, orphaned"]+"; sleep 1000", file)
			p.Groups = g
			cmd := asAnAgent(t, p)
			waitFor(t, file)
			_ = cmd.Process.Kill() // as the power, or the kernel's memory killer
			_ = cmd.Wait()
			if !lives(pidIn(t, file)) {
				t.Fatal("it died with the agent")
			}
			if err := g.KillLeftovers(); err != nil {
				t.Error(err)
			}
			if lives(pidIn(t, file)) {
				t.Error("the leftover lives, want it dead")
			}
			if !lives(pidIn(t, kept)) {
				t.Error("the daemon of a step that had ended well was killed")
			}
			_ = syscall.Kill(pidIn(t, kept), syscall.SIGKILL)
			wantNoCgroup(t, control)
		})
	}
}

const asAgentWith = "PROCESS_TEST_AGENT"

// asAnAgent runs a program in a process that can be killed as an agent is.
func asAnAgent(t *testing.T, p *Program) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^TestBeAnAgent$")
	cmd.Env = append(os.Environ(), asAgentWith+"="+strings.Join(append([]string{p.Groups.Dir, p.Groups.Control}, p.Argv...), "\x1f"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// TestBeAnAgent is what asAnAgent starts.
func TestBeAnAgent(t *testing.T) {
	with := strings.Split(os.Getenv(asAgentWith), "\x1f")
	if len(with) < 3 {
		t.Skip("it is for another test")
	}
	p := Program{Argv: with[2:], Env: stepEnv, Groups: Groups{Dir: with[0], Boot: "boot-1", Control: with[1]}}
	_, err := p.Run(t.Context())
	t.Fatal("it ended: ", err)
}

// TestOrphansThatDieAreBuried, and children that somebody waits for are left to him.
func TestOrphansThatDieAreBuried(t *testing.T) {
	ways(t)
	died, stop, over := make(chan os.Signal, 1), make(chan struct{}), make(chan struct{})
	go func() { defer close(over); Reap(died, time.Millisecond, stop) }()
	defer func() { close(stop); <-over }()
	file := filepath.Join(t.TempDir(), "pid")
	if _, err := shellProgram("", `(setsid sh -c 'echo $$ >"$1"; exec sleep 0.1' x "$1" >/dev/null 2>&1 &) & while [ ! -s "$1" ]; do sleep 0.01; done`, file).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, there := ReadStat(pidIn(t, file)); !there {
			return
		}
		select {
		case died <- syscall.SIGCHLD:
		default:
		}
		if time.Now().After(end) {
			t.Fatal("the orphan is dead and not buried")
		}
	}
}

func TestTheOwnControlGroupIsFoundWhereItIsMounted(t *testing.T) {
	const v2 = "30 24 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	const hybrid = "31 25 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n42 25 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
	const unit = "300 30 0:26 /system.slice/ratchetd.service /sys/fs/cgroup/system.slice/ratchetd.service rw - cgroup2 cgroup2 rw\n"
	for _, c := range []struct{ own, mounts, want string }{
		{"0::/system.slice/ratchetd.service\n", v2, "/sys/fs/cgroup/system.slice/ratchetd.service"},
		{"0::/system.slice/ratchetd.service\n", v2 + unit, "/sys/fs/cgroup/system.slice/ratchetd.service"},
		{"0::/\n", v2, "/sys/fs/cgroup"},
		{"4:memory:/a\n1:name=systemd:/b\n0::/services/ratchet/main\n", hybrid, "/sys/fs/cgroup/unified/services/ratchet/main"},
		{"4:memory:/a\n1:name=systemd:/b\n", hybrid, ""},
		{"0::/../../other\n", v2, ""},
		{"0::/docker/0123\n", "30 24 0:26 /docker/0123 /sys/fs/cgroup ro - cgroup2 cgroup rw\n", "/sys/fs/cgroup"},
		{"0::/a\n", "30 24 0:26 /ab /sys/fs/cgroup ro - cgroup2 cgroup rw\n", ""},
		{"", v2, ""},
	} {
		if got := ownCgroup(c.own, c.mounts); got != c.want {
			t.Errorf("%q on %q: got %q, want %q", c.own, c.mounts, got, c.want)
		}
	}
}

var stepEnv = []string{"PATH=" + SearchPath, markJob + "j", markStep + "s"}

// shellProgram runs a script whose $1 is file.
func shellProgram(control, script, file string) *Program {
	var out bytes.Buffer
	return &Program{Argv: []string{"/bin/sh", "-c", script, "x", file}, Env: stepEnv, Stdout: &out, Stderr: &out, Groups: Groups{Control: control}}
}

func waitFor(t *testing.T, file string) {
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if text, _ := os.ReadFile(file); bytes.HasSuffix(text, []byte("\n")) {
			return
		}
		if time.Now().After(end) {
			t.Errorf("nothing came to be in %s", file)
			return
		}
	}
}

func pidIn(t *testing.T, file string) int {
	t.Helper()
	waitFor(t, file)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func lives(pid int) bool {
	s, ok := ReadStat(pid)
	return ok && s.state != 'Z' && s.state != 'X'
}

// wantNoCgroup has the control groups of this process removed, once nobody is in them.
func wantNoCgroup(t *testing.T, control string) {
	if control == "" {
		return
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		c, err := newCgroup(control) // it removes the others
		if err != nil {
			t.Fatal(err)
		}
		c.leave()
		left, _ := filepath.Glob(filepath.Join(control, fmt.Sprintf("%s%d-*", cgroupName, os.Getpid())))
		if len(left) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%v are still there", left)
		}
	}
}
