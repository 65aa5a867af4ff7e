package agent

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/updater"
)

// firmware is the kind, as this device is configured.
func (a *Agent) firmware() step.Firmware {
	c := a.config.Load()
	keep := []string{filepath.Dir(a.path)}
	for _, path := range []string{c.State, c.Link.CA, c.Link.Cert, c.Link.Key, c.Link.PasswordFile, c.Link.SASKeyFile} {
		if path != "" && !strings.HasPrefix(path, keep[0]+"/") {
			keep = append(keep, path)
		}
	}
	binary, _ := os.Executable() // without it, it cannot be kept: the warning says so
	k := step.Firmware{
		Policy: a.policy(), Groups: a.groups, Client: a.web, Reboot: c.Policy.Reboot,
		Board: updater.Board{Script: a.firmwareScript()},
		Dir:   c.State, Keep: keep, Binary: binary,
		Keys: c.Policy.Keys,
	}
	if a.db != nil {
		k.Freeze = a.db.Freeze
	}
	return k
}

// firmwareScript is the owner's own way to write firmware.
func (a *Agent) firmwareScript() string { return filepath.Join(filepath.Dir(a.path), "firmware") }

// DescribeBoard says what the device has to write firmware with.
func DescribeBoard(ctx context.Context, c *Config, path string) []string {
	a := &Agent{path: path, log: slog.New(slog.DiscardHandler)}
	a.config.Store(c)
	return a.firmware().Describe(ctx)
}
