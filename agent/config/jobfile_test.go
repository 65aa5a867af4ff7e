package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A pipe is no job file, and nobody waits for its other end.
func TestAPipeIsNoJobFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "job.json")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	read := make(chan error, 1)
	go func() {
		_, err := ReadJobFile(path)
		read <- err
	}()
	select {
	case err := <-read:
		if err == nil {
			t.Error("it was read")
		}
	case <-time.After(time.Minute):
		t.Fatal("it waits for the other end")
	}
}

func TestAHandlerThatOthersCouldExchangeIsRefused(t *testing.T) {
	for name, harm := range map[string]func(dir, file string) error{
		"a file":             func(_, file string) error { return os.Chmod(file, 0o722) },
		"its folder":         func(dir, _ string) error { return os.Chmod(dir, 0o777) },
		"an owner's":         func(_, file string) error { return os.Chown(file, 65534, -1) },
		"its folder's owner": func(dir, _ string) error { return os.Chown(dir, 65534, -1) },
	} {
		dir := filepath.Join(t.TempDir(), "handlers")
		file := filepath.Join(dir, "reboot.sh")
		if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(file, []byte("#!/bin/sh\n"), 0o700)); err != nil {
			t.Fatal(err)
		}
		if there, err := HandlerFile(file); !there || err != nil {
			t.Errorf("%s: got %v, %v before it was open to others, want it taken", name, there, err)
		}
		if err := harm(dir, file); errors.Is(err, fs.ErrPermission) {
			continue // only root can give a file away
		} else if err != nil {
			t.Fatal(err)
		}
		if _, err := HandlerFile(file); err == nil || !strings.Contains(err.Error(), "run ch") {
			t.Errorf("%s: got %v, want what to run against it", name, err)
		}
	}
}
