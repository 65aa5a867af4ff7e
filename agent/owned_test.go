package agent

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/agent/config"
)

// What is run by itself, without a job that names it, is run from where nobody
// else could have put it.
func TestAFactsProgramInAFolderThatOthersCanWriteIsNotRun(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "")
	dir := filepath.Join(d.dir, "facts.d")
	ran := filepath.Join(d.dir, "ran")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	d.write("facts.d/rack.json", `{"row": 3}`)
	d.write("facts.d/program", "#!/bin/sh\ntouch "+ran+"\necho 1\n")
	if err := errors.Join(os.Chmod(filepath.Join(dir, "program"), 0o755), os.Chmod(dir, 0o777)); err != nil {
		t.Fatal(err)
	}
	d.start().online(b)
	b.await("ratchet/v1/device/gw-1/facts", func(p string) bool {
		return strings.Contains(p, `"custom":{"rack":{"row":3}}`)
	})
	if _, err := os.Stat(ran); err == nil {
		t.Error("it ran")
	}
}

func TestAStateDirectoryThatOthersCanWriteIsNotUsed(t *testing.T) {
	for _, open := range []string{"var", "var/state"} {
		dir := configDir(t, map[string]string{"ratchet.toml": "state = \"var/state\"\n" + minimal})
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, "var/state"), 0o755), os.Chmod(filepath.Join(dir, open), 0o777)); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(filepath.Join(dir, "ratchet.toml"))
		if err != nil {
			t.Fatal(err)
		}
		a, err := New(c, discard())
		if err != nil {
			t.Fatal(err)
		}
		if err := a.open(); err == nil || !strings.Contains(err.Error(), "state: others can write "+filepath.Join(dir, open)) {
			t.Errorf("%s: got %v, want it refused", open, err)
		}
	}
}
