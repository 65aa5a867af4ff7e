package policy

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/ratchetd/ratchet/executor/step/process"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// Command says why a job may not run argv, or nil. A name without a slash is
// looked up where the child would; a path must match by its own name.
func (p Policy) Command(argv []string) error {
	if p.Commands == nil || len(argv) == 0 {
		return nil
	}
	name, err := process.LookPath(argv[0], []string{"PATH=" + process.SearchPath})
	switch {
	case err != nil:
		return fmt.Errorf("%s: policy.commands: no such program", argv[0])
	case !filepath.IsAbs(name) || filepath.Clean(name) != name:
		return fmt.Errorf("%s: policy.commands: want an absolute path without . or .., or a name without a slash", name)
	case filepath.Base(name) == launcher:
		return fmt.Errorf("%s: it starts whatever it is given, so no job may run it: name the program itself", name)
	case slices.ContainsFunc(p.Commands, func(pattern string) bool { return covers(pattern, name) }):
		return nil
	}
	return fmt.Errorf("%s: policy.commands does not allow this program", name)
}

// launcher is the program of the package that starts the agent.
const launcher = "ratchetd-start"

// Variable says why a job may not give a program a variable of this name, or nil.
// Which names make a program run another one nobody can list: so the owner lists
// those that do not.
func (p Policy) Variable(name string) error {
	if p.Commands == nil || slices.ContainsFunc(p.Env, func(pattern string) bool { return covers(pattern, name) }) {
		return nil
	}
	return fmt.Errorf("env: %s: policy.commands is set, so a job sets only the variables that policy.env names", name)
}

// Mode says why a job may not give a file these permission bits, or nil: a program
// with set-user-id or set-group-id runs as somebody whom policy.users or
// policy.commands may have left out.
func (p Policy) Mode(mode uint32) error {
	switch {
	case mode&0o6000 == 0:
		return nil
	case p.Users != nil:
		return fmt.Errorf("mode: %04o: policy.users is set, so no job makes a file set-user-id, set-group-id or capable of more than its user", mode)
	case p.Commands != nil:
		return fmt.Errorf("mode: %04o: policy.commands is set, so no job makes a file set-user-id, set-group-id or capable of more than its user", mode)
	}
	return nil
}

// ModeText is Mode of a parameter, which may be empty.
func (p Policy) ModeText(mode string) error {
	bits, err := strconv.ParseUint(mode, 8, 32)
	if mode == "" || err != nil { // its form is judged elsewhere
		return nil
	}
	return p.Mode(uint32(bits))
}

// Secret says why a job may not use the secret of this name, or nil.
func (p Policy) Secret(name string) error {
	if p.Secrets == nil || slices.ContainsFunc(p.Secrets, func(pattern string) bool { return covers(pattern, name) }) {
		return nil
	}
	return fmt.Errorf("secret: policy.secrets does not allow %s", name)
}

// Program says why a job may not let the agent run argv as itself, or nil.
func (p Policy) Program(argv []string) error {
	if err := p.Command(argv); err != nil || len(argv) == 0 {
		return err
	}
	if p.Commands == nil && p.Allow != nil && !slices.Contains(p.Allow, "*") && !slices.Contains(p.Allow, "command") {
		return fmt.Errorf("%s: policy.allow does not hold command, so a program must be named in policy.commands", argv[0])
	}
	if p.User("") != nil {
		return fmt.Errorf("%s: policy.users does not allow the agent's own user, as whom it would run", argv[0])
	}
	return nil
}

// User says why a job may not run a program as this user, or nil. An empty name
// is the agent's own user.
func (p Policy) User(name string) error {
	if p.Users == nil || slices.Contains(p.Users, name) {
		return nil
	}
	own, err := process.Identify("")
	switch {
	case name == "" && err == nil && slices.Contains(p.Users, own.Name):
		return nil
	case name == "":
		return fmt.Errorf("user: policy.users is set: name one of %s", strings.Join(p.Users, ", "))
	}
	return fmt.Errorf("user: policy.users does not allow %s", name)
}

// Size says why a job may not bring, or take away, so many bytes, or nil.
func (p Policy) Size(bytes int64) error {
	if p.MaxSize > 0 && bytes > p.MaxSize {
		return fmt.Errorf("%d bytes: policy.maxSize allows %d", bytes, p.MaxSize)
	}
	return nil
}

// Room says why need bytes more may not be written to the disk of dir, or nil.
func (p Policy) Room(dir string, need int64) error {
	return safefile.Headroom(dir, uint64(max(need, 0)), uint64(max(p.KeepFree, 0)))
}

// covers checks a name against a pattern of the owner's; a broken one matches nothing.
func covers(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}
