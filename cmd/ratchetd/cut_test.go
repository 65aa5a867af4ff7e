package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ratchetd/ratchet/agent"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/store"
)

// What the environment of a ratchetd under test may hold.
const (
	dieAt    = "RATCHET_DIE_AT"    // such as 3-before, 3-after or 3-hang: the third commit
	bootFile = "RATCHET_BOOT_FILE" // holds the id of the boot to believe in
)

// dying makes a wrapper that kills the process, as a power cut would, before or
// after a commit of its journal, or that never returns from it.
func dying(point string) func(agent.Journal) agent.Journal {
	number, side, ok := strings.Cut(point, "-")
	at, err := strconv.Atoi(number)
	if !ok || err != nil {
		return nil
	}
	return func(j agent.Journal) agent.Journal {
		return &deadly{Journal: j, at: at, side: side}
	}
}

type deadly struct {
	agent.Journal
	mu    sync.Mutex
	n, at int
	side  string
}

// around counts a commit and dies at the one that was named.
func (d *deadly) around(commit func() error) error {
	d.mu.Lock()
	d.n++
	now := d.n == d.at
	d.mu.Unlock()
	if now && d.side == "before" {
		die()
	}
	err := commit()
	if now && d.side == "after" {
		die()
	}
	return err
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func (d *deadly) Put(r executor.Record) error {
	return d.around(func() error {
		if d.side == "hang" && d.n == d.at {
			select {}
		}
		return d.Journal.Put(r)
	})
}

func (d *deadly) Accept(r executor.Record) (v store.Verdict, err error) {
	err = d.around(func() error {
		v, err = d.Journal.Accept(r)
		return err
	})
	return v, err
}

func (d *deadly) Cancel(id string, signed time.Time) error {
	return d.around(func() error { return d.Journal.Cancel(id, signed) })
}

func (d *deadly) ReadBack(past []store.Past) error {
	return d.around(func() error { return d.Journal.ReadBack(past) })
}

// fakeBoot lays a file over the kernel's boot id. The process was started in a
// mount namespace of its own, so nobody else sees it.
func fakeBoot(file string) error {
	if file == "" {
		return nil
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keeping mounts to this process: %w", err)
	}
	if err := unix.Mount(file, "/proc/sys/kernel/random/boot_id", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("faking the boot id: %w", err)
	}
	return nil
}

// ownMounts lets a program fake the boot id.
func ownMounts() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if uid, gid := os.Getuid(), os.Getgid(); uid != 0 {
		a.Cloneflags |= syscall.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
		a.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN}
	}
	return a
}

// canFakeBoot reports whether this system lets us: many containers do not.
var canFakeBoot = sync.OnceValue(func() bool {
	file, err := os.CreateTemp("", "boot")
	if err != nil {
		return false
	}
	defer os.Remove(file.Name())
	file.Close()
	cmd := exec.Command("ratchetd", "version")
	cmd.SysProcAttr, cmd.Env = ownMounts(), append(os.Environ(), bootFile+"="+file.Name())
	return cmd.Run() == nil
})
