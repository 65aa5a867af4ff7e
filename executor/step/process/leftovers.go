package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// What of a step's environment names it.
const (
	markJob  = "RATCHET_JOB="
	markStep = "RATCHET_STEP="
)

// KillLeftovers ends what an agent that was killed has left running in this
// boot. It is called at start, before anything is run.
func (g Groups) KillLeftovers() error {
	if g.Dir == "" {
		return nil
	}
	if err := g.own(); err != nil {
		return err
	}
	entries, err := os.ReadDir(g.Dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		group, err := strconv.Atoi(e.Name())
		if err != nil || group <= 1 {
			continue
		}
		if n, ok := g.read(group); ok {
			errs = append(errs, n.kill())
		}
		g.Remove(group)
	}
	return errors.Join(errs...)
}

// A note is what is known of a program that an earlier agent has started.
type note struct {
	group int
	start uint64
	in    *cgroup
	marks []string // of a step; empty: of something else
}

// read reads the note of a group, where it is of this boot.
func (g Groups) read(group int) (n note, ok bool) {
	data, err := os.ReadFile(g.file(group))
	if err != nil {
		return n, false
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	boot, number, _ := strings.Cut(lines[0], " ")
	start, err := strconv.ParseUint(number, 10, 64)
	if err != nil || boot != g.Boot {
		return n, false
	}
	n = note{group: group, start: start}
	for _, line := range lines[1:] {
		switch {
		case strings.HasPrefix(filepath.Base(line), cgroupName):
			n.in = &cgroup{line}
		case line != markJob && line != markStep: // those that name nothing mark nothing
			n.marks = append(n.marks, line)
		}
	}
	return n, true
}

// kill ends what the program has left.
func (n note) kill() error {
	var err error
	if n.isGroup() {
		err = killGroup(n.group)
	}
	if n.in != nil {
		return errors.Join(err, n.in.end())
	}
	return errors.Join(err, n.killMarked())
}

// isGroup reports whether the group of that id is still the one in the note: led by
// the process that was noted, or by none any more. The kernel gives no process an id
// that a group still bears.
func (n note) isGroup() bool {
	if leader, ok := ReadStat(n.group); ok {
		return leader.Start == n.start && leader.group == n.group
	}
	for _, m := range members(n.group) {
		if m.Start < n.start {
			return false
		}
	}
	return true
}

// killMarked ends what has left the group and has the step's environment still. What
// belongs to another agent on this machine is not touched.
func (n note) killMarked() error {
	if len(n.marks) < 2 {
		return nil
	}
	for end := time.Now().Add(Grace); ; time.Sleep(poll / 10) {
		left := 0
		for pid, p := range processes() {
			if p.Start < n.start || p.state == 'Z' || pid == os.Getpid() || !n.marked(pid) || p.parent != os.Getpid() && isAgent(p.parent) {
				continue
			}
			left++
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if left == 0 {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%d processes of a step, left by an earlier run, cannot be killed", left)
		}
	}
}

func (n note) marked(pid int) bool {
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}
	env = append([]byte{0}, env...)
	for _, mark := range n.marks {
		if !bytes.Contains(env, []byte("\x00"+mark+"\x00")) {
			return false
		}
	}
	return true
}

// isAgent reports whether a process runs this program.
func isAgent(pid int) bool {
	own, err := os.Stat("/proc/self/exe")
	if err != nil {
		return false
	}
	other, err := os.Stat(fmt.Sprintf("/proc/%d/exe", pid))
	return err == nil && os.SameFile(own, other)
}

// killGroup kills a group and waits until it is gone.
func killGroup(group int) error {
	for end := time.Now().Add(Grace); ; time.Sleep(poll / 10) {
		if len(members(group)) == 0 {
			return nil
		}
		_ = syscall.Kill(-group, syscall.SIGKILL)
		if time.Now().After(end) {
			return fmt.Errorf("process group %d, left by an earlier run, cannot be killed", group)
		}
	}
}
