package safefile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Trusted says why somebody else than root and the agent's own user could have
// changed what is at path, or nil.
func Trusted(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s does not exist on this device: install it there", path)
	}
	if err != nil {
		return err
	}
	sys := info.Sys().(*syscall.Stat_t)
	sticky := info.IsDir() && info.Mode()&os.ModeSticky != 0 // who may write there may not touch what is of others
	if sys.Uid != 0 && int(sys.Uid) != os.Geteuid() || sys.Mode&0o022 != 0 && !sticky {
		return fmt.Errorf("%s could be changed by others: it must belong to root, and nobody else may write it (chmod go-w)", path)
	}
	return nil
}

// TrustedWay is Trusted of a file and of all directories above it.
func TrustedWay(path string) error {
	for ; path != "/"; path = filepath.Dir(path) {
		if err := Trusted(path); err != nil {
			return err
		}
	}
	return nil
}
