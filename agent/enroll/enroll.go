// Package enroll joins a device to a broker: it asks what a person must say, tries
// it, and writes what worked beside the configuration. It runs no job.
package enroll

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/link"
	"github.com/ratchetd/ratchet/agent/local"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/telemetry"
)

// An Enrolment is what a person says so that this device joins a fleet. It is
// written into conf.d, over what ratchet.toml says: that is the owner's, or
// rendered from elsewhere.
type Enrolment struct {
	Broker, Dialect, Device, Username string
	Groups                            []string
	Token                             string // what the device logs in with: a password or, on Azure, its key
	CA, Cert, Key                     string // files
}

// enrolled is the name of the file in conf.d.
const enrolled = "enroll"

// Enroll writes the settings and the secrets that they name, after it has tried
// them at the broker, unless untried is set. A cut leaves what was before, or
// secrets that nothing names yet; the settings come last. say gets a line for
// each thing that a person should know.
func (e Enrolment) Enroll(ctx context.Context, path string, untried bool, say func(string)) (*config.Config, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(path)
	e.Broker = dialect.BrokerAddress(e.Broker)
	files, err := e.secrets(dir)
	if err != nil {
		return nil, err
	}
	if err := e.validate(dir, files); err != nil {
		return nil, err
	}
	if err := begin(path, say); err != nil {
		return nil, err
	}
	staged := filepath.Join(dir, ".enroll") // one that a cut has left is replaced
	defer os.RemoveAll(staged)
	if err := stage(staged, files); err != nil {
		return nil, fmt.Errorf("preparing %s: %w", staged, err)
	}
	c, err := e.draft(path, staged, files)
	if err != nil {
		return nil, err
	}
	if err := e.try(ctx, c, untried, say); err != nil {
		return nil, fmt.Errorf("no setting was changed; --offline writes them without a try: %w", err)
	}
	return c, e.install(dir, files, say)
}

// validate finds what is wrong before anything is written.
func (e *Enrolment) validate(dir string, files []secret) error {
	c := config.DefaultAt(filepath.Join(dir, "ratchet.toml"))
	c.Device, c.Groups = e.Device, e.Groups
	c.Link = e.link(files, "")
	if c.Link.Username == "" && c.Link.PasswordFile != "" {
		c.Link.Username = "the device's id"
	}
	err := errors.Join(c.ValidateNames(), c.ValidateLink())
	if c.Link.Broker == "" {
		err = errors.Join(err, errors.New("--broker: want its address, such as tls://broker:8883"))
	}
	if proof := c.Service().Proof; proof != "" && c.Link.Cert == "" && e.Token == "" {
		err = errors.Join(err, errors.New(proof))
	}
	return err
}

// begin makes the configuration where there is none. On OpenWrt its first line
// lets the init script render it from UCI later.
func begin(path string, say func(string)) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text := "# The settings of this device; what lies in conf.d/*.toml counts over them.\n" +
		"# ratchetd check shows all that counts.\n\n#state = " + strconv.Quote(config.DefaultAt(path).State) + "    # the journal and undo data: on flash or disk\n\n" +
		"[policy]\n#keys = [\"RWQ...\"]    # minisign public keys: then only signed jobs run\n"
	if _, err := os.Stat("/etc/config/ratchet"); err == nil {
		text = "# Rendered from /etc/config/ratchet when the agent starts\n"
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := safefile.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	say("wrote " + path)
	return nil
}

// service is the one that the settings are for.
func (e *Enrolment) service() dialect.Service {
	return (&config.Config{Link: config.Link{Dialect: e.Dialect}}).Service()
}

// link is what the settings say of the link, with secrets below dir.
func (e *Enrolment) link(files []secret, dir string) config.Link {
	l := config.Link{Dialect: e.Dialect, Root: "ratchet/v1", Broker: e.Broker, Username: e.Username}
	for _, f := range files {
		*f.setting(&l) = filepath.Join(dir, f.name)
	}
	return l
}

// text is the file in conf.d.
func (e *Enrolment) text(files []secret, dir string) string {
	l := e.link(files, dir)
	link := map[string]string{"dialect": l.Dialect, "broker": l.Broker, "ca": l.CA, "cert": l.Cert, "key": l.Key,
		"username": l.Username, "passwordFile": l.PasswordFile, "sasKeyFile": l.SASKeyFile}
	for name, value := range link {
		if value == "" {
			delete(link, name)
		}
	}
	all := map[string]any{"link": link}
	if e.Device != "" {
		all["device"] = e.Device
	}
	if len(e.Groups) > 0 {
		all["groups"] = e.Groups
	}
	text := bytes.NewBufferString("# Written by ratchetd enroll, over ratchet.toml. Enrolling again replaces it.\n")
	encoder := toml.NewEncoder(text)
	encoder.Indent = ""
	if err := encoder.Encode(all); err != nil {
		return err.Error() // cannot be: every value has a form in TOML
	}
	return text.String()
}

// draft is the whole configuration as it would be. Who logs in with a password
// and has no other name does so as the device, as the broker's ACL wants.
func (e *Enrolment) draft(path, staged string, files []secret) (*config.Config, error) {
	asks := e.Token != "" && !e.service().Key && e.Username == ""
	if asks {
		e.Username = "?"
	}
	c, err := config.LoadDraft(path, config.Draft{Name: enrolled, Content: e.text(files, staged)}, telemetry.PermanentMAC)
	if asks && err == nil {
		e.Username, c.Link.Username = c.Device, c.Device
	}
	if err != nil {
		return nil, err
	}
	if err := e.overruled(c, files, staged); err != nil {
		return nil, err
	}
	before, _ := config.LoadDraft(path, config.Draft{}, telemetry.PermanentMAC) // nil: nothing is in force
	if err := c.GivenFor(before); err != nil {
		return nil, fmt.Errorf("%w; --token-file, or --key, gives a new one", err)
	}
	return c, c.MayConnect()
}

// overruled tells where a file that is read later says something else.
func (e *Enrolment) overruled(c *config.Config, files []secret, staged string) error {
	want := e.link(files, staged)
	for key, two := range map[string][2]string{"link.broker": {c.Link.Broker, want.Broker}, "link.dialect": {c.Link.Dialect, want.Dialect},
		"link.ca": {c.Link.CA, want.CA}, "link.cert": {c.Link.Cert, want.Cert}, "link.key": {c.Link.Key, want.Key},
		"link.username": {c.Link.Username, want.Username}, "link.passwordFile": {c.Link.PasswordFile, want.PasswordFile},
		"link.sasKeyFile": {c.Link.SASKeyFile, want.SASKeyFile}, "device": {c.Device, e.Device}} {
		if two[1] != "" && two[0] != two[1] {
			return fmt.Errorf("%s: a file in %s that is read after %s.toml sets it to %q: take it out there", key, c.ConfDir(), enrolled, two[0])
		}
	}
	return nil
}

// try connects with the settings. Beside a daemon that is connected it does not:
// the broker lets nobody in twice.
func (e *Enrolment) try(ctx context.Context, c *config.Config, untried bool, say func(string)) error {
	if _, err := c.TLS(time.Now); err != nil {
		return err
	}
	if _, err := c.Login(time.Now()); err != nil {
		return err
	}
	l, _ := local.LinkOf(ctx, c.State)
	switch {
	case l.Connected:
		say("the daemon is connected, so the settings were not tried: reload it, then ratchetd check --connect tells how the link is")
		return nil
	case untried:
		say("the settings were not tried")
		return nil
	}
	report, err := link.Try(ctx, c)
	for _, line := range report {
		say(line)
	}
	return err
}

// install puts the files in their places, the settings last.
func (e *Enrolment) install(dir string, files []secret, say func(string)) error {
	changed := false
	for _, f := range files {
		wrote, err := put(filepath.Join(dir, f.name), f.text, 0o600, say)
		if err != nil {
			return err
		}
		changed = changed || wrote
	}
	conf := filepath.Join(dir, "conf.d")
	if err := os.MkdirAll(conf, 0o755); err != nil {
		return err
	}
	wrote, err := put(filepath.Join(conf, enrolled+".toml"), e.text(files, ""), 0o644, say)
	if err != nil {
		return err
	}
	if !wrote && !changed {
		say("nothing was changed: this device was enrolled like that")
	}
	return e.sweep(dir, files)
}

// put makes path hold text, and tells what it does. What it held is kept beside
// it where people may have written it.
func put(path, text string, mode fs.FileMode, say func(string)) (bool, error) {
	was, err := os.ReadFile(path)
	info, _ := os.Stat(path)
	switch {
	case err == nil && string(was) == text && info.Mode().Perm() == mode:
		return false, nil
	case err == nil && string(was) != text && strings.HasSuffix(path, ".toml"):
		if err := safefile.WriteFile(path+".old", string(was), mode); err != nil {
			return false, err
		}
		say("replaced " + path + "; what it said is in " + filepath.Base(path) + ".old")
	case err == nil:
		say("replaced " + path)
	case errors.Is(err, fs.ErrNotExist):
		say("wrote " + path)
	default:
		return false, err
	}
	return true, safefile.WriteFile(path, text, mode)
}

// sweep removes the secrets of an enrolment before this one, and what one that
// was cut has left.
func (e *Enrolment) sweep(dir string, files []secret) error {
	old, err := filepath.Glob(filepath.Join(dir, safefile.Unfinished))
	for _, name := range []string{config.LinkPassword, config.LinkSAS} {
		if !slices.ContainsFunc(files, func(f secret) bool { return f.name == name }) {
			old = append(old, filepath.Join(dir, name))
		}
	}
	for _, path := range old {
		if gone := os.Remove(path); !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return err
}
