package process

import (
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A family is a program and what it has started, as far as /proc shows it: its
// process group, what descends from it, the sessions that those have begun, and
// orphans of it that were given to this process (Adopt). What was seen once is
// known for good, whoever its parent is later.
type family struct {
	leader Stat
	known  map[int]uint64 // start times, by id
}

// familyOf is that of a process that was started as the leader of a group.
func familyOf(leader int) *family {
	s, _ := ReadStat(leader)
	s.pid = leader
	return &family{leader: s, known: map[int]uint64{leader: s.Start}}
}

// living are those of the family that are alive. Zombies are not, but their
// children count.
func (f *family) living() (list []Stat) {
	all, self := processes(), os.Getpid()
	own, _ := unix.Getsid(0) // an emulator's /proc does not say it
	sessions := map[int]bool{}
	for grown := true; grown; {
		grown = false
		for pid, p := range all {
			if pid == self || pid <= 1 || f.has(p) || !f.claims(p, all, sessions, self, own) {
				continue
			}
			f.known[pid] = p.Start
			grown = true
		}
		for _, p := range all {
			if f.has(p) && p.session != own && !sessions[p.session] {
				sessions[p.session], grown = true, true
			}
		}
	}
	for _, p := range all {
		if f.has(p) && p.state != 'Z' && p.state != 'X' {
			list = append(list, p)
		}
	}
	return list
}

func (f *family) has(p Stat) bool {
	start, ok := f.known[p.pid]
	return ok && start == p.Start
}

// claims reports whether a process is one of the family for what is known so far.
func (f *family) claims(p Stat, all map[int]Stat, sessions map[int]bool, self, own int) bool {
	switch {
	case p.Start < f.leader.Start:
		return false
	case p.group == f.leader.pid, f.has(all[p.parent]), sessions[p.session]:
		return true
	}
	// An orphan of a program: what this process starts itself stays in its session.
	return adopting.Load() && p.parent == self && p.session != own
}

// kill kills those that live, and returns how many there were.
func (f *family) kill() int {
	list := f.living()
	for _, p := range list {
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
	}
	return len(list)
}

// Adopt makes this process the one to which orphans of its descendants are given,
// so that it finds those of a step.
func Adopt() error {
	err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	adopting.Store(err == nil)
	return err
}

var adopting atomic.Bool // of the whole process, as the flag is

// OrphanAge is how long a dead child waits for whoever started it before it is taken
// for an orphan: package os/exec reaps at once what it has started.
const OrphanAge = 30 * time.Second

// Reap buries the orphans that this process was given, until stop is closed. died has
// a value when a child may have died.
func Reap(died <-chan os.Signal, age time.Duration, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-died:
		}
		for dead := zombies(); len(dead) > 0; dead = zombies() {
			select {
			case <-stop:
				return
			case <-time.After(age):
			}
			for _, was := range dead {
				if now, ok := ReadStat(was.pid); ok && now.Start == was.Start && now.state == 'Z' {
					_, _ = syscall.Wait4(was.pid, nil, syscall.WNOHANG, nil)
				}
			}
		}
	}
}

// zombies are the dead children of this process that nobody has waited for.
func zombies() (list []Stat) {
	for _, p := range processes() {
		if p.state == 'Z' && p.parent == os.Getpid() {
			list = append(list, p)
		}
	}
	return list
}
