package steptest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// SystemdRoot makes dir a system with the services web, which is down, and
// busy, which runs and is enabled.
func SystemdRoot(t *testing.T, dir string) error {
	err := errors.Join(os.MkdirAll(filepath.Join(dir, "run/systemd/system"), 0o755), os.Mkdir(filepath.Join(dir, "bin"), 0o755),
		os.Mkdir(filepath.Join(dir, "etc"), 0o755), os.Mkdir(filepath.Join(dir, "units"), 0o755),
		os.Symlink(StandIn(t, "systemctl"), filepath.Join(dir, "bin/systemctl")))
	return errors.Join(err, Touch(dir, "units/web", "units/busy", "units/busy.active", "units/busy.enabled"))
}

// ProcdRoot is the same for procd.
func ProcdRoot(t *testing.T, dir string) error {
	var errs []error
	for _, d := range []string{"init.d", "rc.d", "run", "old"} {
		errs = append(errs, os.MkdirAll(filepath.Join(dir, "etc", d), 0o755))
	}
	script, err := os.ReadFile(StandIn(t, "initscript"))
	for _, name := range []string{"web", "busy", "aged", "ratchet"} {
		errs = append(errs, os.WriteFile(filepath.Join(dir, "etc/init.d", name), script, 0o755))
	}
	errs = append(errs, err, Touch(dir, "etc/rc.common", "etc/run/busy", "etc/old/aged"), os.Symlink("../init.d/busy", filepath.Join(dir, "etc/rc.d/S50busy")))
	return errors.Join(errs...)
}

// Touch makes empty files below dir.
func Touch(dir string, names ...string) error {
	var errs []error
	for _, name := range names {
		errs = append(errs, os.WriteFile(filepath.Join(dir, name), nil, 0o644))
	}
	return errors.Join(errs...)
}
