package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"syscall"

	"github.com/ratchetd/ratchet/agent/config"
)

// obey does what signals ask for.
func (a *Agent) obey(ctx context.Context, asked <-chan os.Signal) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case s := <-asked:
			if s == syscall.SIGUSR1 {
				a.link.Redial()
			} else {
				a.reload()
			}
		}
	}
}

// reload reads the configuration again. A running job goes on; the link connects
// again, for topics, facts and credentials may have changed. A configuration that
// is wrong changes nothing. What cannot change while the agent runs, such as the
// id that a device gets when it is enrolled, has it start again.
func (a *Agent) reload() {
	c, err := a.readAgain(config.Draft{})
	if err == nil {
		err = errors.Join(c.LeftSince(a.config.Load(), ""), c.Link.Usable())
	}
	switch {
	case errors.Is(err, config.ErrFixed):
		a.log.Info("the device's id or its state directory is another one: the agent starts again")
		a.stop(ErrRestart)
	case err != nil:
		a.log.Error("the configuration was not reloaded", "err", err)
	default:
		a.use(c)
		a.log.Info("the configuration was reloaded")
	}
}

// readAgain reads the configuration as it would be with the draft, for this agent.
func (a *Agent) readAgain(d config.Draft) (*config.Config, error) {
	c, err := a.config.Load().Again(d)
	if err == nil {
		err = CheckPolicy(c)
	}
	return c, err
}

func (a *Agent) use(c *config.Config) {
	a.config.Store(c)
	a.judgeConfig()
	a.link.Restart()
	if a.link.Session() == nil {
		a.link.Redial() // what it waits for may be what has changed
	}
	a.schedules.Poke()
}

// judgeConfig raises what of the configuration the device does without.
func (a *Agent) judgeConfig() {
	if err := a.config.Load().LeftOut(); err != nil {
		a.alerts.Raise("configuration", "warning", "left out: "+strings.ReplaceAll(err.Error(), "\n", "; "))
	} else {
		a.alerts.Clear("configuration")
	}
}

// trySettings tells why this agent could not run with that file in conf.d.
// While its job is only offered, the files that it names need not be there.
func (a *Agent) trySettings(name, content string, offered bool) error {
	c, err := a.readAgain(config.Draft{Name: name, Content: content})
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
// not see: one that the policy does not allow, or that a secret was not given for.
// What a file holds that is named for the password is sent to whatever
// broker they name, and a job may no more have a key sent than read it.
func (a *Agent) mayShow(c *config.Config) error {
	now, file := a.config.Load(), c.Link.PasswordFile
	if err := cmp.Or(c.MayConnect(), c.GivenFor(now)); err != nil {
		return err
	}
	if !now.NamesPassword(file) {
		if err := a.mayTake("link.passwordFile", file); err != nil {
			return err
		}
	}
	if file := c.Link.SASKeyFile; file != now.Link.SASKeyFile { // by another name it would be another gift
		return a.mayTake("link.sasKeyFile", file)
	}
	return nil
}

// mayTake tells why settings may not name a file for a secret.
func (a *Agent) mayTake(key, file string) error {
	if file == "" {
		return nil
	}
	if err := a.policy().Readable(file); err != nil {
		return fmt.Errorf("%s: %w, and neither sent to a broker: want one that the configuration names already, or a file of its own", key, err)
	}
	return nil
}

// reloadSettings puts conf.d into force after a change. Where it says what it
// did before, the link stands.
func (a *Agent) reloadSettings() error {
	c, err := a.readAgain(config.Draft{})
	if err == nil && !reflect.DeepEqual(c, a.config.Load()) {
		a.use(c)
	}
	return err
}
