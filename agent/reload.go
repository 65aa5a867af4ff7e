package agent

import (
	"context"
	"errors"
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
		c, err := Load(a.path)
		if old := a.config.Load(); err == nil && (c.Device != old.Device || c.State != old.State) {
			err = errors.New("device and state cannot change while it runs: restart it")
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
}

// restart asks for a connection that fetches everything anew.
func (l *link) restart() {
	l.mu.Lock()
	l.stale = true
	l.mu.Unlock()
	select {
	case l.redial <- nil:
	default: // no session stands: the next one will know
	}
}
