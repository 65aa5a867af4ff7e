package agent

import (
	"context"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/firmware"
	"github.com/ratchetd/ratchet/updater"
)

// firmware is the kind, as this device is configured.
func (a *Agent) firmware() firmware.Kind {
	c := a.config.Load()
	keep := []string{c.Folder()}
	for _, path := range []string{c.State, c.Link.CA, c.Link.Cert, c.Link.Key, c.Link.PasswordFile, c.Link.SASKeyFile} {
		if path != "" && !strings.HasPrefix(path, keep[0]+"/") {
			keep = append(keep, path)
		}
	}
	binary, _ := os.Executable() // without it, it cannot be kept: the warning says so
	k := firmware.Kind{
		Policy: a.policy(), Groups: a.groups, Client: a.web, Reboot: c.Policy.Reboot,
		Board: updater.Board{Script: c.FirmwareScript()},
		Dir:   c.State, Keep: keep, Binary: binary,
		Keys: c.Policy.Keys,
	}
	if a.db != nil {
		k.Freeze, k.Tell = a.freeze, a.untilTold
	}
	return k
}

// freeze keeps the journal as it is, and tells the watchdog that it has to be so.
func (a *Agent) freeze() (thaw func()) {
	write := a.db.Freeze()
	watched := a.watchdog.Freeze()
	return func() {
		watched()
		write()
	}
}

// untilTold waits until all that is saved of the job was told, as long as there
// is a connection and for half a minute at most.
func (a *Agent) untilTold(ctx context.Context, job string) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for a.link.Session() != nil && ctx.Err() == nil {
		records, err := a.db.Untold()
		if err != nil || !slices.ContainsFunc(records, func(r executor.Record) bool { return r.ID == job }) {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// DescribeBoard says what the device has to write firmware with.
func DescribeBoard(ctx context.Context, c *config.Config) []string {
	return bare(c).firmware().Overview(ctx)
}
