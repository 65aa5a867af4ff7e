// Package policy is the owner's word on what jobs may do: which files they may
// write, which programs run and as whom, which hosts reach, how much move.
//
// It only judges. What is judged by name is judged where the name leads.
package policy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/telemetry/look"
)

// Policy is what the owner of the device lets jobs do. The zero value lets
// them read and write all but what no policy can open.
type Policy struct {
	// Protected are files and trees that no job may read or write: the agent's
	// state, its config, keys, secrets and binary.
	Protected []string
	// Kept are trees that no job may write, whatever it may read there.
	Kept []string

	Allow    []string // kinds of steps; nil is all. Without command no program runs but those of Commands
	Paths    []string // the only trees that may be written; nil is all
	Read     []string // the only trees that may be read; nil is Paths
	Commands []string // patterns of the programs that may be run; nil is all
	Env      []string // patterns of the variables that a job may set for them, where Commands is set
	URLs     []string // patterns of the hosts that may be reached; nil is all
	Users    []string // the only ones as whom programs may be run; nil is all
	Secrets  []string // patterns of the secrets that may be used; nil is all
	Services []string // patterns of the units that may be touched; nil is all but those of the board itself
	MaxSize  int64    // bytes that one step may move; 0 is any number
	KeepFree int64    // bytes of a disk that no step takes; 0 is what safefile.Headroom keeps
}

// Writable says why a job may not write path, or nil. One that leads nowhere
// opens nothing.
func (p Policy) Writable(path string) error {
	m, _ := follow(path)
	return p.writable(m)
}

// Readable says why a job may not read path, or nil.
func (p Policy) Readable(path string) error {
	m, _ := follow(path)
	return p.readable(m)
}

// ToWrite is where path leads, and a job may write. That, without links, is
// what is judged and to be used: whoever may write a directory can turn path
// elsewhere at any moment.
func (p Policy) ToWrite(path string) (string, error) {
	m, err := follow(path)
	if denied := p.writable(m); denied != nil {
		return "", denied
	}
	return m.real, err
}

// ToRemove is ToWrite of path itself where it is a link.
func (p Policy) ToRemove(path string) (string, error) {
	m, err := follow(path)
	if denied := p.writable(m); denied != nil {
		return "", denied
	}
	if m.itself != "" {
		err = nil
	}
	return m.itself, err
}

// ToRead is where path leads, and a job may read.
func (p Policy) ToRead(path string) (string, error) {
	m, err := follow(path)
	if denied := p.readable(m); denied != nil {
		return "", denied
	}
	return m.real, err
}

func (p Policy) readable(m meaning) error {
	rule, trees := "policy.read", p.Read
	if trees == nil {
		rule, trees = "policy.paths, for policy.read is not set,", p.Paths
	}
	if err := open(m, "read", p.Protected); err != nil || trees == nil {
		return err
	}
	for real := range m.each {
		if !slices.ContainsFunc(trees, lineageOf(real).within) {
			return fmt.Errorf("%s: %s does not allow it to be read", m.path, rule)
		}
	}
	return nil
}

func (p Policy) writable(m meaning) error {
	if err := open(m, "written", p.Protected, p.Kept); err != nil {
		return err
	}
	if err := p.noProgram(m); err != nil || p.Paths == nil {
		return err
	}
	for real := range m.each {
		if !slices.ContainsFunc(p.Paths, lineageOf(real).within) {
			return fmt.Errorf("%s: policy.paths does not allow it to be written", m.path)
		}
	}
	return nil
}

// open says why what the path stands for is closed, or nil.
func open(m meaning, verb string, closed ...[]string) error {
	mounts := allMounts()
	for real := range m.each {
		above, names := lineageOf(real), mounts.names(real)
		at, _ := mounts.at(real)
		// /proc shows the agent's own memory and environment, wherever it is mounted.
		for _, kept := range append(slices.Concat(closed...), "/proc") {
			if at.kind == "proc" || above.within(kept) || real == safefile.Beside(kept, "new") || mounts.reach(names, kept) {
				return fmt.Errorf("%s is protected: it cannot be %s by a job", m.path, verb)
			}
		}
	}
	return nil
}

// reach reports whether a file of these names is kept or lies in it, or is what
// grows beside it, also where a mount shows it elsewhere.
func (list mounted) reach(names []string, kept string) bool {
	if real, err := safefile.Resolve(kept); err == nil {
		kept = real
	}
	return anyBelow(names, list.names(kept)) || anyBelow(names, list.names(safefile.Beside(kept, "new")))
}

// A lineage is a path without links and the directories above it.
type lineage []ancestor

type ancestor struct {
	path string
	info os.FileInfo // nil: nothing is there
}

func lineageOf(path string) (l lineage) {
	for {
		info, _ := os.Stat(path)
		l = append(l, ancestor{path, info})
		if path == "/" {
			return l
		}
		path = filepath.Dir(path)
	}
}

// within reports whether the path is tree or lies below it, also when a bind
// mount or a hard link gives it another name.
func (l lineage) within(tree string) bool {
	real, err := safefile.Resolve(tree)
	if err == nil {
		tree = real
	}
	var top os.FileInfo
	if !errors.Is(err, look.ErrHangs) {
		top, _ = os.Stat(tree)
	}
	return slices.ContainsFunc(l, func(a ancestor) bool {
		return a.path == tree || a.info != nil && top != nil && os.SameFile(a.info, top)
	})
}
