package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The files that tests make are nobody else's, whatever the umask of who runs them.
func TestMain(m *testing.M) {
	syscall.Umask(0o022)
	os.Exit(m.Run())
}

// Whoever can write one of the files that say what is run here, or exchange it for
// another, is the device's owner.
func TestAConfigurationThatOthersCouldWriteIsRefused(t *testing.T) {
	const nobody = 65534
	files := map[string]string{
		"etc/ratchet/ratchet.toml":     "[link]\nbroker = \"tls://b:1\"\nusername = \"x\"\npasswordFile = \"password\"\nca = \"ca.pem\"\n",
		"etc/ratchet/conf.d/site.toml": "[tags]\nsite = \"berlin\"\n",
		"etc/ratchet/keys.json":        `{"sequence":1,"set":["RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"]}`,
		"etc/ratchet/device":           "gw-1\n",
		"etc/ratchet/password":         "p\n",
		"etc/ratchet/ca.pem":           "",
		"etc/ratchet/firmware":         "#!/bin/sh\n",
	}
	load := func(dir string) error {
		_, err := Load(filepath.Join(dir, "etc/ratchet/ratchet.toml"))
		return err
	}
	if err := load(etc(t, files)); err != nil {
		t.Fatal("before anything is open to others:", err)
	}
	harms := map[string]func(path string) error{
		"run chmod go-w ": func(path string) error {
			info, err := os.Stat(path)
			if err == nil {
				err = os.Chmod(path, info.Mode()|0o022)
			}
			return err
		},
		"run chown root ": func(path string) error { return os.Lchown(path, nobody, nobody) },
	}
	for _, name := range []string{"etc", "etc/ratchet", "etc/ratchet/conf.d", "etc/ratchet/ratchet.toml", "etc/ratchet/conf.d/site.toml",
		"etc/ratchet/keys.json", "etc/ratchet/device", "etc/ratchet/password", "etc/ratchet/ca.pem", "etc/ratchet/firmware"} {
		for want, harm := range harms {
			dir := etc(t, files)
			path := filepath.Join(dir, name)
			if err := harm(path); errors.Is(err, os.ErrPermission) {
				continue // only root can give a file away
			} else if err != nil {
				t.Fatal(err)
			}
			err := load(dir)
			if name == "etc/ratchet/password" && strings.HasPrefix(want, "run chmod") {
				want = "run chmod 600 "
			}
			if err == nil || !strings.Contains(err.Error(), want+path) {
				t.Errorf("%s: got %v, want %s", name, err, want)
			}
		}
	}
}

// An empty conf.d is open to whoever comes next.
func TestAnEmptyConfDThatOthersCouldWriteIsRefused(t *testing.T) {
	dir := etc(t, map[string]string{"ratchet.toml": least})
	conf := filepath.Join(dir, "conf.d")
	if err := errors.Join(os.Mkdir(conf, 0o755), os.Chmod(conf, 0o777)); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(filepath.Join(dir, "ratchet.toml")); err == nil || !strings.Contains(err.Error(), "run chmod go-w "+conf) {
		t.Errorf("got %v, want it refused", err)
	}
}

// A folder of the configuration may be a link, if root made it.
func TestAConfigurationBehindALinkIsRead(t *testing.T) {
	dir := etc(t, map[string]string{"real/ratchet.toml": least, "real/conf.d/a.toml": "[tags]\na = 1\n"})
	if err := os.Symlink("real", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	c, err := Load(filepath.Join(dir, "link/ratchet.toml"))
	if err != nil || c.Tags["a"] != int64(1) {
		t.Errorf("got %v, %v", c, err)
	}
}
