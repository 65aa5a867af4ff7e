package config

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/update"
	"github.com/ratchetd/ratchet/store"
)

// StepPolicy is what the owner lets steps do; what is the agent's own is nobody's.
func (c *Config) StepPolicy() policy.Policy {
	return policy.Policy{
		Protected: c.Protected(), Kept: []string{c.Folder()},
		Allow: c.Policy.Allow, Commands: c.Policy.Commands, Env: c.Policy.Env, Users: c.Policy.Users,
		Paths: c.Policy.Paths, Read: c.Policy.Read, URLs: c.Policy.URLs, Secrets: c.Policy.Secrets, Services: c.Policy.Services,
		MaxSize: int64(c.Policy.MaxSize), KeepFree: int64(c.Policy.KeepFree),
	}
}

// Protected is what no job may read or write: the folder of the configuration and
// all that it names, for what lies there is believed or run without a signature.
// Single files are named beside the trees they lie in, since hard links to them are
// known by the file. On OpenWrt ratchet.toml is made from /etc/config/ratchet.
func (c *Config) Protected() []string {
	own := append(c.secretPaths(), c.State, store.Path(c.State), c.path, c.ConfDir(), c.KeysFile(), c.secretsDir(),
		c.FirmwareScript(), "/etc/config/ratchet", step.PluginDir, c.Policy.Plugins)
	own = append(own, launchers...)
	own = append(own, c.named()...)
	secrets, _ := os.ReadDir(c.secretsDir()) // none: nothing to keep
	for _, f := range secrets {
		own = append(own, filepath.Join(c.secretsDir(), f.Name()))
	}
	if exe, err := os.Executable(); err == nil {
		own = append(append(own, exe), update.Kind{Path: exe}.Beside()...)
	}
	return slices.DeleteFunc(own, func(p string) bool { return p == "" })
}

// launchers are the folders that a package and install.sh have for the programs
// that start the agent.
var launchers = []string{"/usr/libexec/ratchetd", "/usr/local/libexec/ratchetd"}

// named are the files and folders that the configuration names, by a key or by
// where it looks for them.
func (c *Config) named() []string {
	cert, _ := c.CertFiles()
	list := []string{c.Link.CA, cert, c.AWS.Handlers}
	for _, name := range []string{"device", "facts.d", "jobs.d", LinkCA, LinkCert, LinkCSR} {
		list = append(list, filepath.Join(c.Folder(), name))
	}
	for _, s := range c.Schedules {
		list = append(list, s.Job)
	}
	for _, a := range c.Alerts {
		list = append(list, a.Run)
	}
	return append(list, c.dropped...)
}

// Folder is that of the configuration, whole: programs and the list of what a
// flash keeps know no working directory.
func (c *Config) Folder() string {
	dir := filepath.Dir(c.path)
	if whole, err := filepath.Abs(dir); err == nil {
		return whole
	}
	return dir
}

// FirmwareScript is the owner's own way to write firmware.
func (c *Config) FirmwareScript() string { return filepath.Join(c.Folder(), "firmware") }

// Allows reports whether steps of that kind may run on this device.
func (p *Policy) Allows(kind string) bool {
	return slices.Contains(p.Allow, "*") || slices.Contains(p.Allow, kind)
}

// PluginDir is the folder in which plugins lie.
func (p *Policy) PluginDir() string { return cmp.Or(p.Plugins, step.PluginDir) }

// CheckAllow says which name in policy.allow is none of the kinds of steps, or nil.
// It would allow nothing, and nobody would know.
func (p *Policy) CheckAllow(kinds []string) error {
	for _, name := range p.Allow {
		if name != "*" && !slices.Contains(kinds, name) {
			return fmt.Errorf("policy.allow: %q is no kind of step: want *, or of %s%s", name, strings.Join(kinds, " "), executor.DidYouMean(name, kinds))
		}
	}
	return nil
}
