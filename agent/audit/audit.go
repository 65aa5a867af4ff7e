// Package audit says what a configuration opens that the rules take for valid: which
// rule of the policy is none, what lies in a folder that jobs may write, who hears
// the password. It changes nothing and refuses nothing.
package audit

import (
	"fmt"
	"net"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/process"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// A Warning is what a valid configuration opens, though it may seem not to.
type Warning struct {
	Key     string // of the configuration
	Opens   string // what it lets in
	Instead string // what to write
}

// String is the warning as one line.
func (w Warning) String() string { return fmt.Sprintf("%s: %s: %s", w.Key, w.Opens, w.Instead) }

// Config is what a configuration opens, by its link and its policy.
func Config(c *config.Config) []Warning {
	r := rules{c.Policy}
	return slices.Concat(Link(c), r.unset(), r.programs(), r.trees(), r.patterns())
}

// Link is what the link shows to others than its broker, or to another one than
// was meant.
func Link(c *config.Config) (all []Warning) {
	u, err := url.Parse(c.Link.Broker)
	if err != nil || c.Link.Broker == "" {
		return nil // there is none to connect to
	}
	host := u.Hostname()
	switch {
	case u.Scheme != "tcp" && u.Scheme != "ws" || host == "localhost" || net.ParseIP(host).IsLoopback():
	case c.Link.PasswordFile != "" || c.Link.SASKeyFile != "":
		all = append(all, Warning{"link.broker", "the password goes to " + host + " in clear, and whoever is on the way can read it, and change jobs", "use tls:// or wss://"})
	default:
		all = append(all, Warning{"link.broker", "all that goes to and from " + host + " can be read and changed on its way", "use tls:// or wss://"})
	}
	if c.MayConnect() != nil {
		all = append(all, Warning{"link.broker", "policy.urls does not allow " + host + ", which conf.d names", "add it to policy.urls, or name it in ratchet.toml"})
	}
	if c.GivenFor(nil) != nil {
		all = append(all, Warning{"link.broker", "a secret that was given for another broker is sent to " + host, "name the secret and link.broker in one file, where it is meant for this one"})
	}
	return all
}

// rules are those of a policy.
type rules struct{ config.Policy }

// unbound reports whether a job may run any program as root.
func (p *rules) unbound() bool { return p.Allows("command") && p.Commands == nil && p.asRoot() }

// asRoot reports whether programs may run as the agent's own user.
func (p *rules) asRoot() bool { return policy.Policy{Users: p.Users}.User("") == nil }

// writes reports whether a job may write files that it names.
func (p *rules) writes() bool {
	return slices.ContainsFunc([]string{"file", "config", "download", "data", "diagnostic"}, p.Allows)
}

// sends reports whether a job may take files off the device.
func (p *rules) sends() bool {
	return slices.ContainsFunc([]string{"upload", "data", "diagnostic"}, p.Allows)
}

// unset are the rules that are missing. Where command is bound by nothing, that says
// all of most of them.
func (p *rules) unset() (all []Warning) {
	if len(p.Keys) == 0 {
		all = append(all, Warning{"policy.keys", "it is not set, so this device runs every job that its broker lets through",
			"write the public keys of who may send jobs (ratchet key new makes one)"})
	}
	switch {
	case p.unbound():
		return append(all, Warning{"policy.allow", "command as root is bound by nothing, so every other rule of [policy] is advice and not a wall",
			"name programs in policy.commands, users in policy.users, or the kinds that are needed, without command"})
	case p.Paths == nil && p.writes():
		all = append(all, Warning{"policy.paths", "it is not set, so a job writes any file that is not the agent's own, cron's and systemd's too, and by that runs anything as root",
			`write the folders that jobs are to change, such as "/etc/config"`})
	}
	if p.Read == nil && p.Paths == nil && p.sends() {
		all = append(all, Warning{"policy.read", "neither it nor policy.paths is set, so a job sends any file that is not the agent's own, /etc/shadow too",
			`write the folders whose files may leave the device, such as "/var/log"`})
	}
	return all
}

// programs are the warnings of what runs as root, whatever the rules seem to say.
func (p *rules) programs() (all []Warning) {
	if p.Allows("plugin") && !p.unbound() {
		all = append(all, Warning{"policy.allow", "plugin runs what lies in " + p.PluginDir() + " as root, whatever policy.commands, paths and users say",
			"name the kinds that are needed, without plugin where there are none"})
	}
	if p.Allows("package") && !p.unbound() {
		all = append(all, Warning{"policy.allow", "package installs and removes any package of the device's sources, whose scripts run as root, whatever policy.commands, paths and users say",
			"name the kinds that are needed, without package where there are none"})
	}
	for _, pattern := range p.Commands {
		switch runner := runnerIn(pattern); {
		case runner != "":
			all = append(all, Warning{"policy.commands", fmt.Sprintf("%q matches %s, which runs any other program", pattern, runner),
				"name the programs one by one, or put them into a folder of their own"})
		case !isThere(pattern):
			all = append(all, Warning{"policy.commands", fmt.Sprintf("%q matches no program of this device", pattern), "install it, or look at how it is written"})
		}
		all = append(all, p.exchangeable(pattern)...)
	}
	for _, user := range p.Users {
		if process.KnownUser(user) != nil {
			all = append(all, Warning{"policy.users", fmt.Sprintf("%q is no user of this device", user), "make it, or look at how it is written"})
		}
	}
	return all
}

// exchangeable are the warnings of programs that others could exchange: a job that
// may write beside them, or a user.
func (p *rules) exchangeable(pattern string) (all []Warning) {
	programs, _ := filepath.Glob(pattern) // a pattern that is none is an error already
	programs = programs[:min(len(programs), mostPrograms)]
	for _, tree := range p.Paths {
		lies := func(program string) bool {
			real, err := filepath.EvalSymlinks(program)
			return err == nil && related(filepath.Dir(real), tree)
		}
		if p.writes() && (related(path.Dir(pattern), tree) || slices.ContainsFunc(programs, lies)) {
			all = append(all, Warning{"policy.commands", fmt.Sprintf("%q lies where jobs may write, by %q of policy.paths: they can change what these programs load, if not the programs", pattern, tree),
				"keep the programs in a folder outside policy.paths"})
		}
	}
	for _, program := range programs {
		if _, err := safefile.Owned(program); err != nil {
			why, run, _ := strings.Cut(err.Error(), ": run ")
			return append(all, Warning{"policy.commands", fmt.Sprintf("%q: %s", pattern, why), "run " + run})
		}
	}
	return all
}

// mostPrograms bounds those of one pattern that are looked at.
const mostPrograms = 1000

func isThere(pattern string) bool {
	found, _ := filepath.Glob(pattern)
	return len(found) > 0
}

// patterns are the warnings of other lists that open what they seem to close.
func (p *rules) patterns() (all []Warning) {
	if p.Commands != nil {
		for _, name := range steering {
			if i := slices.IndexFunc(p.Env, func(pattern string) bool { ok, _ := path.Match(pattern, name); return ok }); i >= 0 {
				all = append(all, Warning{"policy.env", fmt.Sprintf("%q matches %s, by which a program of policy.commands runs another one", p.Env[i], name), "name the variables one by one"})
				break
			}
		}
	}
	open := policy.Policy{Services: p.Services}
	if p.Services != nil && open.Service("debug-shell.service") == nil {
		all = append(all, Warning{"policy.services", "it matches debug-shell.service, which is a shell as root without a password", "name the units that jobs are to touch; without the rule, those that open the board or take it down are refused"})
	}
	return all
}
