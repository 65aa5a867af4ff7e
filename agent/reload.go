package agent

import (
	"context"
	"os"
)

// DefaultPath is where the configuration lies unless somebody says otherwise.
const DefaultPath = "/etc/ratchet/ratchet.toml"

// reload reads the configuration again whenever hup brings something. A running
// job goes on; the link connects anew, for topics, facts and credentials may
// have changed. A configuration that is wrong changes nothing.
func (a *Agent) reload(ctx context.Context, hup <-chan os.Signal) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hup:
		}
		c, err := a.again(draft{})
		if err == nil {
			err = c.Link.files()
		}
		if err != nil {
			a.log.Error("the configuration was not reloaded", "err", err)
			continue
		}
		a.use(c)
		a.log.Info("the configuration was reloaded")
	}
}

func (a *Agent) use(c *Config) {
	a.config.Store(c)
	a.link.restart()
	a.schedules.poke()
}
