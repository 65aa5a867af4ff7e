package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A cgroup is the control group, of version 2, of one program and all that it
// starts. A child may leave its process group and its session, but not this. The
// nil cgroup is none: the device has no control groups, or not for the agent.
type cgroup struct{ dir string }

// cgroupName begins the names of those that an agent makes: its own id and a number
// follow.
const cgroupName = "ratchet-step-"

// ControlGroups is the folder of this process's own control group, in which those
// of programs are made, or empty where that cannot be done.
func ControlGroups() string {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return ""
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	dir := ownCgroup(string(own), string(mounts))
	if dir == "" {
		return ""
	}
	try, err := newCgroup(dir)
	if err != nil {
		return ""
	}
	try.leave()
	return dir
}

// ownCgroup finds the folder by what /proc says of this process and of the mounts.
func ownCgroup(own, mounts string) string {
	var path string
	for line := range strings.Lines(own) {
		if p, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			path = p
		}
	}
	if path == "" || strings.HasPrefix(path, "/..") { // it lies outside of what this process sees
		return ""
	}
	dir := ""
	for line := range strings.Lines(mounts) {
		mount, kind, _ := strings.Cut(line, " - ")
		f := strings.Fields(mount)
		if len(f) < 5 || !strings.HasPrefix(kind, "cgroup2 ") {
			continue
		}
		if below, ok := strings.CutPrefix(path, strings.TrimSuffix(f[3], "/")); ok && (below == "" || below[0] == '/') {
			dir = filepath.Join(f[4], below) // a later mount lies over an earlier one
		}
	}
	return dir
}

// inUse are the folders of the control groups that this process has made and whose
// programs run. No name is used twice: two programs never share one.
var inUse struct {
	sync.Mutex
	folders map[string]bool
	made    int
}

// newCgroup makes a new one below dir, and removes those there of which nothing is
// left.
func newCgroup(dir string) (*cgroup, error) {
	inUse.Lock()
	defer inUse.Unlock()
	old, _ := filepath.Glob(filepath.Join(dir, cgroupName+"*"))
	for _, path := range old {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(path), cgroupName), "-")
		maker, err := strconv.Atoi(pid)
		if err == nil && !inUse.folders[path] && (maker == os.Getpid() || syscall.Kill(maker, 0) == syscall.ESRCH) {
			_ = unix.Rmdir(path) // it is refused where somebody lives on
		}
	}
	for {
		inUse.made++
		c := &cgroup{filepath.Join(dir, fmt.Sprintf("%s%d-%d", cgroupName, os.Getpid(), inUse.made))}
		err := os.Mkdir(c.dir, 0o755)
		if errors.Is(err, fs.ErrExist) { // of an earlier process with this id
			continue
		}
		if err != nil {
			return nil, err
		}
		if inUse.folders == nil {
			inUse.folders = map[string]bool{}
		}
		inUse.folders[c.dir] = true
		return c, nil
	}
}

// open is its folder, in which a child can be born.
func (c *cgroup) open() (int, error) {
	return unix.Open(c.dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}

// take moves a process that was born elsewhere, and what it has started since.
func (c *cgroup) take(leader int) {
	of := familyOf(leader)
	for moved := map[int]bool{}; ; {
		more := false
		for _, p := range of.living() {
			if !moved[p.pid] {
				moved[p.pid], more = true, true
				_ = c.write("cgroup.procs", strconv.Itoa(p.pid)) // it may have ended
			}
		}
		if !more {
			return
		}
	}
}

// members are the processes in it and in those below it.
func (c *cgroup) members() (list []int) {
	if c == nil {
		return nil
	}
	_ = filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil // it was removed meanwhile
		}
		text, _ := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		for line := range strings.FieldsSeq(string(text)) {
			if pid, err := strconv.Atoi(line); err == nil && pid > 1 && pid != os.Getpid() {
				list = append(list, pid)
			}
		}
		return nil
	})
	return list
}

// kill ends all that is in it, at once where the kernel can.
func (c *cgroup) kill() {
	if c != nil && c.write("cgroup.kill", "1") != nil {
		c.killEach()
	}
}

// killEach is kill for kernels before 5.14.
func (c *cgroup) killEach() {
	_ = c.write("cgroup.freeze", "1") // so that none can start another one meanwhile
	for _, pid := range c.members() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_ = c.write("cgroup.freeze", "0")
}

// end kills until nothing is left in it.
func (c *cgroup) end() error {
	if c == nil {
		return nil
	}
	for end := time.Now().Add(Grace); ; time.Sleep(poll / 10) {
		if len(c.members()) == 0 {
			c.leave()
			return nil
		}
		if c.kill(); time.Now().After(end) {
			return fmt.Errorf("what a program has left in the control group %s cannot be killed", c.dir)
		}
	}
}

// leave removes it, where nobody is in it any more: its program has ended.
func (c *cgroup) leave() {
	if c == nil {
		return
	}
	inUse.Lock()
	delete(inUse.folders, c.dir)
	inUse.Unlock()
	var below []string
	_ = filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			below = append(below, path)
		}
		return nil
	})
	for i := len(below) - 1; i >= 0; i-- { // the deepest come last
		_ = unix.Rmdir(below[i])
	}
}

func (c *cgroup) write(file, text string) error {
	f, err := os.OpenFile(filepath.Join(c.dir, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
