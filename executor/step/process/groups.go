package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Groups notes the process groups that run, so that an agent that was killed
// finds its children when it is started again. Each is a file in Dir, which
// lies in RAM, is named by the group's id, and holds the boot and the leader's
// start time. The zero value notes nothing.
type Groups struct {
	Dir  string
	Boot string // id of this boot
}

// Add notes a group whose leader runs.
func (g Groups) Add(group int) error {
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
	return os.WriteFile(g.file(group), fmt.Appendf(nil, "%s %d\n", g.Boot, leader.Start), 0o600)
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
		if g.isOurs(group) {
			errs = append(errs, killGroup(group))
		}
		g.Remove(group)
	}
	return errors.Join(errs...)
}

// isOurs reports whether the group of that id is still the one in the file: of
// this boot, and led by the process that was noted, or by none any more. The
// kernel gives no process an id that a group still bears.
func (g Groups) isOurs(group int) bool {
	data, err := os.ReadFile(g.file(group))
	if err != nil {
		return false
	}
	boot, number, _ := strings.Cut(strings.TrimSpace(string(data)), " ")
	start, err := strconv.ParseUint(number, 10, 64)
	if err != nil || boot != g.Boot {
		return false
	}
	if leader, ok := ReadStat(group); ok {
		return leader.Start == start && leader.group == group
	}
	for _, m := range members(group) {
		if m.Start < start {
			return false
		}
	}
	return true
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
