package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// deviceFile keeps the id that a device has made.
const deviceFile = "device"

// identify gives a device its id where the configuration has none: the one
// made before, which lies beside it, else the lowest permanent MAC. It is kept
// so that a new network card does not make it another device, and it does not
// lie in the journal, which may be lost.
func (c *Config) identify(mac func() (string, error)) error {
	if c.Device != "" {
		return nil
	}
	path := filepath.Join(c.dir, deviceFile)
	kept, err := readConfig(path)
	switch {
	case err == nil:
		c.Device = strings.TrimSpace(string(kept))
		if !executor.ValidDevice(c.Device) {
			return fmt.Errorf("%s holds no device id: remove it to have one made, or set device in ratchet.toml", path)
		}
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("reading the device id: %w", err)
	}
	if c.Device, err = mac(); err != nil {
		return err
	}
	if err := safefile.WriteFile(path, c.Device+"\n", 0o644); err != nil {
		return fmt.Errorf("keeping the device id: set device in ratchet.toml, or let the agent write there: %w", err)
	}
	return nil
}
