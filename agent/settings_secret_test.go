package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor"
)

// A password is sent to whatever broker the settings name. What no job may read
// must not get out that way, and what ratchet.toml names stays out of reach
// when the settings name another.
func TestSettingsCannotSendAKeyAsThePassword(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "")
	d.write("ratchet.toml", readAll(t, filepath.Join(d.dir, "ratchet.toml"))+"username = \"gw-1\"\npasswordFile = \"password\"\n")
	d.write("password", "correct-horse\n")
	d.write("another", "battery-staple\n")
	if err := os.Mkdir(filepath.Join(d.dir, "secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	d.write("secrets/wifi", "not-for-brokers\n")
	d.start().online(b)
	state := d.config.Load().State
	if err := os.Symlink(filepath.Join(state, "pending.key"), filepath.Join(d.dir, "link")); err != nil {
		t.Fatal(err)
	}
	d.write("state/pending.key", "a key\n")
	for i, file := range []string{"secrets/wifi", filepath.Join(state, "pending.key"), "link", "ratchet.toml", "/proc/self/environ"} {
		id := fmt.Sprintf("leak%d", i)
		b.offer("device/gw-1", settingsDoc(id, "net", fmt.Sprintf("[link]\npasswordFile = %q\n", file), ""))
		s := b.final(id)
		if wantState(t, s, executor.Rejected); !strings.Contains(s.Reason, "link.passwordFile: ") || !strings.Contains(s.Reason, "is protected") {
			t.Errorf("%s: got reason %q, want that it is protected", file, s.Reason)
		}
	}
	b.offer("device/gw-1", settingsDoc("other", "net", "[link]\npasswordFile = \"another\"\n", ""))
	wantState(t, b.final("other"), executor.Succeeded)
	for _, file := range []string{"password", "another"} {
		if err := d.policy().Readable(filepath.Join(d.dir, file)); err == nil {
			t.Errorf("%s can be read while the settings name another", file)
		}
	}
	b.offer("device/gw-1", settingsDoc("back", "net", "[link]\npasswordFile = \"password\"\n", ""))
	wantState(t, b.final("back"), executor.Succeeded)
}
