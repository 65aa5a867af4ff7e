package config

import (
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"github.com/BurntSushi/toml"
)

// A leftOut is a part of the configuration that the device does without, because it
// is wrong: a file of conf.d, a schedule or an alert. A device that starts can be
// mended from afar.
type leftOut struct {
	file string // that it stands in
	err  error
}

func (c *Config) leave(file string, err error) { c.left = append(c.left, leftOut{file, err}) }

// LeftOut says which optional parts are left out, and what is wrong with each; nil
// where none is.
func (c *Config) LeftOut() error {
	var errs []error
	for _, l := range c.left {
		errs = append(errs, l.err)
	}
	return errors.Join(errs...)
}

// LeftSince is LeftOut of what before did not leave out, and of all that stands in file.
func (c *Config) LeftSince(before *Config, file string) error {
	var errs []error
	for _, l := range c.left {
		same := func(b leftOut) bool { return b.file == l.file && b.err.Error() == l.err.Error() }
		if l.file == file || !slices.ContainsFunc(before.left, same) {
			errs = append(errs, l.err)
		}
	}
	return errors.Join(errs...)
}

// needed are the keys that a device is not itself without: a file of conf.d that has
// one of them is not left out.
var needed = []string{"device", "state", "link", "policy", "aws"}

// isNeeded reports whether a file of conf.d holds one. Of one that is no TOML nobody
// knows.
func isNeeded(text []byte) bool {
	var table map[string]any
	if toml.Unmarshal(text, &table) != nil {
		return false
	}
	return slices.ContainsFunc(needed, func(name string) bool { _, ok := table[name]; return ok })
}

// readPart reads a file of conf.d over what is there. One that is wrong, and holds
// nothing that the device needs, changes nothing and is left out.
func (c *Config) readPart(part string, text []byte) error {
	with := c.clone()
	err := errors.Join(with.readNoting(part, text, "policy"), with.keepFallback(part, c.Link.Fallback))
	if err == nil && c.validateOptional() == nil {
		err = with.validateOptional()
	}
	switch {
	case err == nil:
		*c = *with
		return nil
	case isNeeded(text):
		*c = *with // its secrets are secrets all the same
		return err
	}
	c.leave(part, err)
	return nil
}

// clone is a copy of which no part changes with the other.
func (c *Config) clone() *Config {
	d := *c
	d.Tags, d.Vars, d.Link.Fallback = maps.Clone(c.Tags), maps.Clone(c.Vars), slices.Clone(c.Link.Fallback)
	d.Alerts, d.Schedules, d.given, d.left = slices.Clone(c.Alerts), slices.Clone(c.Schedules), slices.Clone(c.given), slices.Clone(c.left)
	return &d
}

func (c *Config) validateOptional() error {
	return errors.Join(c.ValidateNames(), c.Telemetry.validate(), c.Facts.validate())
}

// missing says which file that was left out may have held what the device is not
// itself without, and which nothing else gives; or nil.
func (c *Config) missing() error {
	_, kept := readConfig(filepath.Join(c.dir, deviceFile))
	if c.Link.Broker != "" && (c.Device != "" || !errors.Is(kept, fs.ErrNotExist)) {
		return nil
	}
	var errs []error
	for _, l := range c.left {
		if filepath.Dir(l.file) == c.ConfDir() {
			errs = append(errs, l.err)
		}
	}
	return errors.Join(errs...)
}

// dropFirings leaves out what the device would begin by itself and that breaks a rule.
func (c *Config) dropFirings() {
	used := map[string]bool{}
	c.Schedules = slices.DeleteFunc(c.Schedules, func(s Schedule) bool {
		return c.drop(s.At, s.Job, errors.Join(nameOnce(used, s.At, "schedule.name", s.Name), s.validate()))
	})
	c.Alerts = slices.DeleteFunc(c.Alerts, func(a Alert) bool {
		return c.drop(a.At, a.Run, errors.Join(nameOnce(used, a.At, "alert.name", a.Name), a.validate()))
	})
}

// drop reports whether it left out what names the job in file, which stays protected: it
// counts again when what names it is mended.
func (c *Config) drop(at place, file string, err error) bool {
	if err == nil {
		return false
	}
	c.leave(at.file, err)
	if file != "" {
		c.dropped = append(c.dropped, file)
	}
	return true
}
