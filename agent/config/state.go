package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// TryState says why the state directory cannot be made, or not be written to; nil:
// nothing is known against it. It changes nothing.
func (c *Config) TryState() error {
	dir := c.State
	info, err := os.Stat(dir)
	for (errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR)) && dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		info, err = os.Stat(dir)
	}
	if err == nil && !info.IsDir() {
		err = unix.ENOTDIR
	}
	if err == nil {
		err = unix.Access(dir, unix.W_OK|unix.X_OK)
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("state: %s cannot be made or written to (%s: %w): in %s set state to a folder of this user's, on flash or disk", c.State, dir, err, c.path)
}
