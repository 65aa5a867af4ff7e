package config

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/telemetry"
)

// Load reads the configuration file at path and what lies in conf.d beside it,
// later files over earlier ones. All that is wrong is in the error. A device
// without an id in them gets one, which is kept beside them.
//
// Where nothing but the files that it names is at fault, or parts that a device can do
// without, the configuration comes beside the error: an agent that runs can at least
// be told to mend it. LeftOut has those parts.
func Load(path string) (*Config, error) {
	c, err := LoadDraft(path, Draft{}, telemetry.PermanentMAC)
	if err != nil {
		return nil, err
	}
	return c, errors.Join(c.LeftOut(), c.Link.Usable())
}

// A Draft is what a file of conf.d is to hold. The zero value is none.
type Draft struct{ Name, Content string }

// LoadDraft is Load, as it would be with the draft, and without a look at the files
// that the configuration names. Nothing is left out for the draft's sake.
func LoadDraft(path string, d Draft, mac func() (string, error)) (*Config, error) {
	c, err := loadParts(path, d)
	if err == nil && d.Name != "" && c.left != nil {
		before, bare := loadParts(path, Draft{})
		if bare != nil {
			before = &Config{}
		}
		err = c.LeftSince(before, c.part(d.Name))
	}
	if err != nil {
		return nil, err
	}
	return c, c.identify(mac)
}

// loadParts is LoadDraft, without the id that a device makes for itself.
func loadParts(path string, d Draft) (*Config, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	c := DefaultAt(path)
	text, err := readConfig(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	err = c.readNoting(path, text)
	c.ownKeys, c.ownBroker = c.Policy.Keys, c.Link.Broker
	c.addSecretFiles()
	if err := errors.Join(err, c.readParts(d)); err != nil {
		return nil, err
	}
	if err := c.ReadKeys(); err != nil {
		return nil, err
	}
	c.absolute()
	c.State = real(c.State)
	c.Telemetry.chooseSpill(fileSystemSize(c.State))
	c.dropFirings()
	if err := c.validate(); err != nil {
		return nil, err
	}
	return c, c.missing()
}

// Path is that of the configuration's file.
func (c *Config) Path() string { return c.path }

// Dir is the folder of the configuration, with links followed.
func (c *Config) Dir() string { return c.dir }

// ConfDir holds the files that are read over it.
func (c *Config) ConfDir() string { return filepath.Join(c.dir, "conf.d") }

// readParts reads what lies in conf.d, in order of name.
func (c *Config) readParts(d Draft) error {
	// Left out it would be what its writer may want, so it is no part to do without.
	if err := errors.Join(OwnOnly(c.ConfDir()), OwnOnly(c.FirmwareScript())); err != nil {
		return err
	}
	parts, err := filepath.Glob(filepath.Join(c.ConfDir(), "*.toml"))
	if err != nil {
		return err
	}
	drafted := c.part(d.Name)
	if d.Name != "" && !slices.Contains(parts, drafted) {
		parts = append(parts, drafted)
		slices.Sort(parts)
	}
	var errs []error
	for _, part := range parts {
		text := []byte(d.Content)
		if d.Name == "" || part != drafted {
			if _, err := os.Stat(part); err != nil { // a link that leads nowhere, to a stick that is out
				c.leave(part, err)
				continue
			}
			if err := OwnOnly(part); err != nil {
				errs = append(errs, err)
				continue
			}
			var err error
			if text, err = readConfig(part); err != nil {
				c.leave(part, err)
				continue
			}
		}
		errs = append(errs, c.readPart(part, text))
		c.addSecretFiles()
	}
	return errors.Join(errs...)
}

// part is the file of conf.d of that name.
func (c *Config) part(name string) string { return filepath.Join(c.ConfDir(), name+".toml") }

// ErrFixed says that an agent which runs cannot take up that configuration.
var ErrFixed = errors.New("device and state cannot change while it runs: restart it")

// Again reads the configuration once more, as it would be with the draft, for
// an agent that already runs with this one.
func (c *Config) Again(d Draft) (*Config, error) {
	next, err := LoadDraft(c.path, d, func() (string, error) { return c.Device, nil })
	if err != nil {
		return nil, err
	}
	if next.Device != c.Device || next.State != c.State {
		return nil, ErrFixed
	}
	return next, nil
}

// CheckPart tells why no agent could run with a file in conf.d that says this,
// whatever else its configuration says.
func CheckPart(name, content string) error {
	c := Default()
	return errors.Join(c.read(name+".toml", []byte(content), "policy"), c.LeftOut())
}

// addSecretFiles adds the files with secrets that are named up to here.
func (c *Config) addSecretFiles() {
	note := func(list *[]string, file string) {
		if file != "" && !slices.Contains(*list, file) {
			*list = append(*list, file)
		}
	}
	note(&c.passwords, c.Link.PasswordFile)
	for _, file := range []string{c.Link.Key, c.Link.PasswordFile, c.Link.SASKeyFile} {
		note(&c.secretFiles, file)
	}
}

// credentials is how a path names the folder of systemd's LoadCredential.
const credentials = "$CREDENTIALS_DIRECTORY/"

// credential is the file that a path means. Where systemd has not started this
// process the folder is the one that it makes for the service.
func credential(path string) string {
	name, ok := strings.CutPrefix(path, credentials)
	if !ok {
		return path
	}
	return filepath.Join(cmp.Or(os.Getenv("CREDENTIALS_DIRECTORY"), "/run/credentials/ratchetd.service"), name)
}

// absolute lets paths be given relative to the configuration file.
func (c *Config) absolute() {
	paths := []*string{&c.State, &c.Link.CA, &c.Link.Cert, &c.Link.Key, &c.Link.PasswordFile, &c.Link.SASKeyFile, &c.AWS.Handlers}
	for _, list := range [][]string{c.passwords, c.secretFiles} {
		for i := range list {
			paths = append(paths, &list[i])
		}
	}
	for i := range c.given {
		paths = append(paths, &c.given[i].file)
	}
	for i := range c.Schedules {
		paths = append(paths, &c.Schedules[i].Job)
	}
	for i := range c.Alerts {
		paths = append(paths, &c.Alerts[i].Run)
	}
	for _, p := range paths {
		*p = credential(*p)
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(c.dir, *p)
		}
	}
}

// real is a directory of the agent with its links followed, which the steps'
// file operations do not do. One that leads nowhere is told when it is used.
func real(dir string) string {
	if real, err := safefile.Resolve(dir); err == nil && dir != "" {
		return real
	}
	return dir
}
