package store

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const lockWait = 10 * time.Second

// takeLock locks the file at path until it is closed. bbolt's own lock does not
// do: it is lost when openMapped swaps the descriptor.
func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the directory: %w", err)
	}
	for end := time.Now().Add(lockWait); ; time.Sleep(50 * time.Millisecond) {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(end) {
			break
		}
	}
	if err == nil {
		// The pid only helps people: a full disk must not stop the agent here.
		_ = f.Truncate(0)
		_, _ = fmt.Fprintln(f, os.Getpid())
		return f, nil
	}
	defer f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		holder, _ := os.ReadFile(path)
		return nil, fmt.Errorf("the state directory is in use by process %s: stop that agent first, or set another state in the config",
			strings.TrimSpace(string(holder)))
	}
	return nil, fmt.Errorf("locking %s: %w", path, err)
}
