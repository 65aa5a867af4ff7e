package agent

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
)

var errFixed = errors.New("device and state cannot change while it runs: restart it")

// again reads the configuration anew, as it would be with the draft, for an
// agent that already runs with one.
func (a *Agent) again(d draft) (*Config, error) {
	now := a.config.Load()
	c, err := load(a.path, d, func() (string, error) { return now.Device, nil })
	if err != nil {
		return nil, err
	}
	if c.Device != now.Device || c.State != now.State {
		return nil, errFixed
	}
	return c, nil
}

// trySettings tells why this agent could not run with that file in conf.d.
// While its job is only offered, the files that it names need not be there.
func (a *Agent) trySettings(name, content string, offered bool) error {
	c, err := a.again(draft{name, content})
	if err == nil {
		err = a.mayShow(c)
	}
	switch {
	case err != nil:
		return err
	case offered:
		return c.Link.named()
	}
	return c.Link.files()
}

// mayShow tells why these settings would show something to a broker that it must
// not see: what a file holds that is named for the password is sent to whatever
// broker they name, and a job may no more have a key sent than read it.
func (a *Agent) mayShow(c *Config) error {
	now, file := a.config.Load(), c.Link.PasswordFile
	if file == "" || slices.Contains(now.passwords, file) {
		return nil
	}
	if err := a.policy().Readable(file); err != nil {
		return fmt.Errorf("link.passwordFile: %w, and neither sent to a broker: want one that the configuration names already, or a file of its own", err)
	}
	return nil
}

// tryAlone tells why no agent could run with that file in conf.d, whatever else
// its configuration says.
func tryAlone(name, content string, _ bool) error {
	c := defaults(filepath.Dir(DefaultPath))
	return c.read(name+".toml", []byte(content), "policy")
}

// reloadSettings puts conf.d into force after a change. Where it says what it
// did before, the link stands.
func (a *Agent) reloadSettings() error {
	c, err := a.again(draft{})
	if err == nil && !reflect.DeepEqual(c, a.config.Load()) {
		a.use(c)
	}
	return err
}
