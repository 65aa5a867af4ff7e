package agent

import (
	"fmt"
	"reflect"

	"github.com/ratchetd/ratchet/agent/config"
)

// trySettings tells why this agent could not run with that file in conf.d.
// While its job is only offered, the files that it names need not be there.
func (a *Agent) trySettings(name, content string, offered bool) error {
	c, err := a.config.Load().Again(config.Draft{Name: name, Content: content})
	if err == nil {
		err = a.mayShow(c)
	}
	switch {
	case err != nil:
		return err
	case offered:
		return c.Link.Named()
	}
	return c.Link.Usable()
}

// mayShow tells why these settings would show something to a broker that it must
// not see: what a file holds that is named for the password is sent to whatever
// broker they name, and a job may no more have a key sent than read it.
func (a *Agent) mayShow(c *config.Config) error {
	now, file := a.config.Load(), c.Link.PasswordFile
	if file == "" || now.NamesPassword(file) {
		return nil
	}
	if err := a.policy().Readable(file); err != nil {
		return fmt.Errorf("link.passwordFile: %w, and neither sent to a broker: want one that the configuration names already, or a file of its own", err)
	}
	return nil
}

// reloadSettings puts conf.d into force after a change. Where it says what it
// did before, the link stands.
func (a *Agent) reloadSettings() error {
	c, err := a.config.Load().Again(config.Draft{})
	if err == nil && !reflect.DeepEqual(c, a.config.Load()) {
		a.use(c)
	}
	return err
}
