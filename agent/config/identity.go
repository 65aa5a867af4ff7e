package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ratchetd/ratchet/executor"
)

// identify gives a device its id where the configuration has none: the one
// made before, which lies beside it, else the lowest permanent MAC. It is kept
// so that a new network card does not make it another device, and it does not
// lie in the journal, which may be lost.
func (c *Config) identify(mac func() (string, error)) error {
	if c.Device != "" {
		return nil
	}
	path := filepath.Join(c.dir, "device")
	kept, err := os.ReadFile(path)
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
	if err := Keep(path, c.Device+"\n", 0o644); err != nil {
		return fmt.Errorf("keeping the device id: set device in ratchet.toml, or let the agent write there: %w", err)
	}
	return nil
}

// Unfinished begins the name of a file that keep has not finished.
const Unfinished = ".kept-"

// Keep makes a small file durable: after a cut it is there whole, or not at all.
func Keep(path, text string, mode fs.FileMode) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	temp, err := os.CreateTemp(dir.Name(), Unfinished)
	if err != nil {
		return err
	}
	_, err = temp.WriteString(text)
	err = errors.Join(err, temp.Chmod(mode), temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return dir.Sync()
}
