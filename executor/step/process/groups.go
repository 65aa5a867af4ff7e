package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Groups notes the process groups that run, so that an agent that was killed
// finds its children when it is started again. Each is a file in Dir, which
// lies in RAM, is named by the group's id, and holds the boot and the leader's
// start time, then the control group and what marks the environment, a line each.
// The zero value notes nothing.
type Groups struct {
	Dir     string
	Boot    string // id of this boot
	Control string // where each program gets a control group; empty: none gets one
}

// Add notes a group whose leader runs.
func (g Groups) Add(group int) error { return g.add(group, nil, nil) }

// add notes the group, the control group that its program is in, and what marks the
// environment of whatever the program starts.
func (g Groups) add(group int, in *cgroup, env []string) error {
	if g.Dir == "" {
		return nil
	}
	if err := g.own(); err != nil {
		return err
	}
	leader, ok := ReadStat(group)
	if !ok {
		return nil // it is gone already
	}
	note := fmt.Appendf(nil, "%s %d\n", g.Boot, leader.Start)
	if in != nil {
		note = fmt.Appendln(note, in.dir)
	}
	for _, e := range env {
		if strings.HasPrefix(e, markJob) || strings.HasPrefix(e, markStep) {
			note = fmt.Appendln(note, e)
		}
	}
	return os.WriteFile(g.file(group), note, 0o600)
}

// Remove forgets a group that has ended.
func (g Groups) Remove(group int) {
	if g.Dir != "" {
		_ = os.Remove(g.file(group)) // a stale note is harmless: its start time is no more
	}
}

func (g Groups) file(group int) string { return filepath.Join(g.Dir, strconv.Itoa(group)) }

// own makes Dir, or sees to it that it is nobody else's: it may lie in /tmp.
func (g Groups) own() error {
	if err := os.MkdirAll(g.Dir, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(g.Dir)
	if err != nil {
		return err
	}
	if sys := info.Sys().(*syscall.Stat_t); !info.IsDir() || int(sys.Uid) != os.Geteuid() || sys.Mode&0o077 != 0 {
		return fmt.Errorf("%s is not the agent's own with mode 0700: remove it", g.Dir)
	}
	return nil
}
