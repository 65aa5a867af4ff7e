package steptest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/ratchetd/ratchet/executor/step/packages"
)

// OnPackages is the kind on a device whose packages lie in dir.
func OnPackages(t *testing.T, dir string) packages.Kind {
	return packages.Kind{
		Opkg:  []string{StandIn(t, "packages/opkg"), "-o", dir},
		Apk:   []string{StandIn(t, "packages/apk"), "--root", dir},
		World: filepath.Join(dir, "world"),
	}
}

// What is installed, and wanted, before.
const (
	InstalledBefore = "curl 8-r2\ndropbear 2-r1\n"
	WorldBefore     = "curl\ndropbear\n"
)

// Feed fills dir with packages that can be had and some that are installed.
func Feed(dir string) error {
	var errs []error
	for name, text := range map[string]string{
		"feed":      "lib 1-r1\nvim 8-r1 lib\nvim 9-r1 lib\ncurl 8-r2\ncurl 8-r3\ndropbear 1-r1\ndropbear 2-r1\n",
		"installed": InstalledBefore,
		"world":     WorldBefore,
	} {
		errs = append(errs, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	return errors.Join(errs...)
}
