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

// What can be had; packages.awk says what the signs mean.
const feed = `lib 1-r1
vim 8-r1 lib
vim 9-r1 lib
curl 8-r2
curl 8-r3
dropbear 1-r1
dropbear 2-r1
wget-ssl 1-r1 +wget
bad 1-r1 ?
foe 1-r1 !curl
heir 1-r1 !curl -curl
big 1-r1 lib #900
`

// Feed fills dir with packages that can be had and some that are installed.
func Feed(dir string) error {
	var errs []error
	for name, text := range map[string]string{"feed": feed, "installed": InstalledBefore, "world": WorldBefore} {
		errs = append(errs, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	return errors.Join(errs...)
}
