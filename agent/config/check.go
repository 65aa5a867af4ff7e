package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/rule"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/telemetry"
)

const (
	maxGroups   = 32  // each is a topic that the device subscribes to
	maxPackages = 100 // each is a line of the facts
)

var packageName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+._-]{0,127}$`)

// validate checks the whole configuration against the rules; the error has one
// line for each that is broken.
func (c *Config) validate() error {
	return errors.Join(c.ValidateNames(), c.ValidateLink(), c.AWS.validate(), c.Policy.validate(), c.Telemetry.validate(), c.Facts.validate())
}

// ValidateNames checks the groups and the state directory against the rules.
func (c *Config) ValidateNames() error {
	var errs []error
	if len(c.Groups) > maxGroups {
		errs = append(errs, fmt.Errorf("groups: there are %d: at most %d are taken", len(c.Groups), maxGroups))
	}
	for i, g := range c.Groups {
		switch {
		case !executor.ValidDevice(g):
			errs = append(errs, fmt.Errorf("groups: %q: want 1 to 64 of A-Z a-z 0-9 _ . -", g))
		case slices.Contains(c.Groups[:i], g):
			errs = append(errs, fmt.Errorf("groups: %q stands there twice", g))
		}
	}
	if c.State == "" {
		errs = append(errs, errors.New("state: want a directory"))
	}
	return errors.Join(errs...)
}

// ValidateLink checks the link, and the device's name, against the rules and
// against what the service takes.
func (c *Config) ValidateLink() error {
	var errs []error
	l := &c.Link
	if l.Broker != "" {
		errs = append(errs, checkBroker("link.broker", l.Broker))
	}
	if _, ok := dialects[l.Dialect]; !ok {
		errs = append(errs, fmt.Errorf("link.dialect: %q: want plain, aws or azure%s", l.Dialect, executor.DidYouMean(l.Dialect, slices.Collect(maps.Keys(dialects)))))
	}
	errs = append(errs, l.checkFallback(), c.Service().Check(c.settings()))
	if strings.Trim(l.Root, "/") != l.Root || l.Root == "" || len(l.Root) > 128 || strings.ContainsAny(l.Root, "#+\x00") {
		errs = append(errs, fmt.Errorf("link.root: %q: want a topic such as ratchet/v1, without # or + or a slash at its ends", l.Root))
	}
	if (l.Cert == "") != (l.Key == "") {
		errs = append(errs, errors.New("link.cert and link.key: want both or none"))
	}
	if l.PasswordFile != "" && l.Username == "" {
		errs = append(errs, errors.New("link.username: link.passwordFile is set, so want a user name too"))
	}
	return errors.Join(errs...)
}

func (a *AWS) validate() error {
	for _, m := range a.Metrics {
		if telemetry.Figures[m] == nil {
			known := slices.Sorted(maps.Keys(telemetry.Figures))
			return fmt.Errorf("aws.metrics: %q: want some of %s%s", m, strings.Join(known, ", "), executor.DidYouMean(m, known))
		}
	}
	if a.Defender != 0 && a.Defender < Duration(5*time.Minute) {
		return errors.New("aws.defender: want 5m or more: Device Defender refuses reports that come sooner")
	}
	return nil
}

// Named reports whether there is a broker to connect to at all.
func (l *Link) Named() error {
	if l.Broker == "" {
		return errors.New(`link.broker: set it to the broker's address, such as "tls://broker:8883"`)
	}
	return nil
}

// Usable tells what the link still needs: a broker, and files that can be read.
// What is not there may come, so an agent starts without it.
func (l *Link) Usable() error {
	return errors.Join(l.Named(),
		readableFile("link.ca", l.CA), readableFile("link.cert", l.Cert),
		secretFile("link.key", l.Key), secretFile("link.passwordFile", l.PasswordFile),
		secretFile("link.sasKeyFile", l.SASKeyFile))
}

func checkBroker(key, broker string) error {
	u, err := url.Parse(broker)
	switch {
	case err != nil || u.Hostname() == "" || !slices.Contains([]string{"tcp", "tls", "ws", "wss"}, u.Scheme):
		return fmt.Errorf("%s: %q: want an address such as tls://broker:8883, with %s", key, withoutUser(broker), dialect.Schemes)
	case u.User != nil:
		return fmt.Errorf("%s: user and password do not belong here: use link.username and link.passwordFile", key)
	case u.Port() == "" && (u.Scheme == "tcp" || u.Scheme == "tls"):
		return fmt.Errorf("%s: %q: want a port too, such as %s:8883", key, broker, broker)
	}
	return nil
}

// withoutUser keeps a password out of the error that quotes the address.
func withoutUser(address string) string {
	return address[strings.LastIndex(address, "@")+1:]
}

// readableFile tells what is wrong with a file that key names, if it does.
func readableFile(key, path string) error {
	info, err := stat(key, path)
	if err != nil || info == nil {
		return err
	}
	return ownFile(key, path)
}

// ownFile wants the file to be nobody else's to write or exchange.
func ownFile(key, path string) error {
	if _, err := safefile.Owned(path); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// secretFile also wants the file to be nobody else's to read.
func secretFile(key, path string) error {
	info, err := stat(key, path)
	if err != nil || info == nil {
		return err
	}
	// systemd lets the service's user in by an access list, which shows as the group's mode.
	open := fs.FileMode(0o077)
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" && strings.HasPrefix(path, dir+"/") {
		open = 0o007
	}
	if mode := info.Mode().Perm(); mode&open != 0 {
		return fmt.Errorf("%s: others can read %s (mode %04o): run chmod 600 %s", key, path, mode, path)
	}
	return ownFile(key, path)
}

func stat(key, path string) (fs.FileInfo, error) {
	if path == "" {
		return nil, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %s is no file", key, path)
	}
	return info, nil
}

func (p *Policy) validate() error {
	var errs []error
	for _, k := range p.Keys {
		if KeyID(k) == "" {
			errs = append(errs, fmt.Errorf("policy.keys: %q is no minisign public key: want the second line of the .pub file", k))
		}
	}
	if len(p.Reboot) == 0 || p.Reboot[0] == "" {
		errs = append(errs, errors.New(`policy.reboot: want the command that reboots the device, such as ["reboot"]`))
	}
	if p.Plugins != "" && !path.IsAbs(p.Plugins) {
		errs = append(errs, fmt.Errorf("policy.plugins: %q: want an absolute path", p.Plugins))
	}
	for key, patterns := range map[string][]string{"commands": p.Commands, "urls": p.URLs, "env": p.Env, "secrets": p.Secrets, "services": p.Services} {
		for _, pattern := range patterns {
			if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
				errs = append(errs, fmt.Errorf("policy.%s: %q is no pattern: want a name with * and ?", key, pattern))
			}
		}
	}
	for _, pattern := range p.Commands {
		if !path.IsAbs(pattern) {
			errs = append(errs, fmt.Errorf("policy.commands: %q matches nothing: want the whole path of a program, such as /usr/bin/logger", pattern))
		}
	}
	for _, pattern := range p.URLs {
		if host := hostOf(pattern); host != pattern {
			errs = append(errs, fmt.Errorf("policy.urls: %q matches nothing: want a host, such as %s", pattern, cmp.Or(host, "*.example.com")))
		}
	}
	for key, trees := range map[string][]string{"paths": p.Paths, "read": p.Read} {
		for _, tree := range trees {
			if !path.IsAbs(tree) {
				errs = append(errs, fmt.Errorf("policy.%s: %q: want an absolute path", key, tree))
			}
		}
	}
	return errors.Join(errs...)
}

// hostOf is the host in what somebody wrote for one; a pattern stays as it is.
func hostOf(text string) string {
	_, rest, whole := strings.Cut(text, "://")
	if !whole {
		rest = text
	}
	host, _, _ := strings.Cut(rest, "/")
	if name, port, ok := strings.Cut(host, ":"); ok && !strings.Contains(port, ":") {
		return name
	}
	return host
}

func (t *Telemetry) validate() error {
	var errs []error
	if t.Every < Duration(time.Second) {
		errs = append(errs, errors.New("telemetry.every: want 1s or more"))
	}
	if t.Publish < t.Every {
		errs = append(errs, errors.New("telemetry.publish: want telemetry.every or more"))
	}
	if t.QoS != 0 && t.QoS != 1 {
		errs = append(errs, fmt.Errorf("telemetry.qos: %d: want 0 or 1", t.QoS))
	}
	for _, name := range t.Builtin {
		if name = strings.TrimPrefix(name, "-"); name != "*" && !rule.IsBuiltin(name) {
			errs = append(errs, fmt.Errorf("telemetry.builtin: %q: want *, or of %s, with a - before it to take it away%s", name, strings.Join(rule.Names(), " "), executor.DidYouMean(name, rule.Names())))
		}
	}
	return errors.Join(errs...)
}

func (f *Facts) validate() error {
	var errs []error
	if len(f.Packages) > maxPackages {
		errs = append(errs, fmt.Errorf("facts.packages: there are %d: at most %d are taken", len(f.Packages), maxPackages))
	}
	for _, name := range f.Packages {
		if !packageName.MatchString(name) {
			errs = append(errs, fmt.Errorf("facts.packages: %q is no name of a package", name))
		}
	}
	return errors.Join(errs...)
}
