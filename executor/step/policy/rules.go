package policy

import (
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/executor/step/process"
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
	case slices.ContainsFunc(p.Commands, func(pattern string) bool { return covers(pattern, name) }):
		return nil
	}
	return fmt.Errorf("%s: policy.commands does not allow this program", name)
}

// steering are the beginnings of the names with which an environment makes a
// loader or an interpreter run what the owner has not allowed.
var steering = []string{"PATH", "LD_", "GCONV_PATH", "GLIBC_TUNABLES", "LOCPATH", "BASH_", "ENV", "SHELLOPTS", "PS4", "IFS",
	"PYTHON", "PERL", "RUBY", "NODE_", "LUA_", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "GIT_", "PAGER", "EDITOR", "VISUAL"}

// Env says why a job may not give a program a variable of this name, or nil.
func (p Policy) Env(name string) error {
	if p.Commands == nil || !slices.ContainsFunc(steering, func(s string) bool { return strings.HasPrefix(name, s) }) {
		return nil
	}
	return fmt.Errorf("env: %s: policy.commands is set, and this could make the program run another one", name)
}

// URL says why a job may not reach an address, or nil.
func (p Policy) URL(address string) error {
	if p.URLs == nil {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("policy.urls: no address can be read")
	}
	host := strings.ToLower(u.Hostname())
	if slices.ContainsFunc(p.URLs, func(pattern string) bool { return covers(strings.ToLower(pattern), host) }) {
		return nil
	}
	return fmt.Errorf("%s: policy.urls does not allow this host", host)
}

// Program says why a job may not let the agent run argv as itself, or nil.
func (p Policy) Program(argv []string) error {
	if err := p.Command(argv); err != nil || len(argv) == 0 {
		return err
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

// covers checks a name against a pattern of the owner's; a broken one matches nothing.
func covers(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}
