package agent

import (
	"context"
	"errors"
	"os"
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
	c, err := a.config.Load().Again(config.Draft{})
	if err == nil {
		err = c.Link.Usable()
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

func (a *Agent) use(c *config.Config) {
	a.config.Store(c)
	a.link.Restart()
	if a.link.Session() == nil {
		a.link.Redial() // what it waits for may be what has changed
	}
	a.schedules.Poke()
}
