package agent

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/agent/config"
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

// A password stays one while a later file of the configuration names another,
// a key while no link uses it, and what an
// enrolment has left when nothing names it.
func TestASecretThatAnyFileNamesIsHidden(t *testing.T) {
	d := &device{t: t, dir: t.TempDir()}
	if err := os.Mkdir(filepath.Join(d.dir, "conf.d"), 0o700); err != nil {
		t.Fatal(err)
	}
	d.write("ratchet.toml", fmt.Sprintf("device = \"gw-1\"\nstate = %q\n[link]\nbroker = \"tcp://b:1883\"\nusername = \"gw-1\"\npasswordFile = \"p0\"\ncert = \"c\"\nkey = \"k0\"\n", filepath.Join(d.dir, "state")))
	d.write("conf.d/1.toml", "[link]\npasswordFile = \"p1\"\nkey = \"k1\"\n")
	d.write("conf.d/2.toml", "[link]\npasswordFile = \"p2\"\n")
	d.write("conf.d/3.toml", "[link]\nkey = \"k2\"\n")
	d.write("c", "")
	want := ""
	for _, name := range []string{"p0", "p1", "p2", "k0", "k1", "k2", "link.password"} {
		d.write(name, "secret of "+name+"-0123456789\n")
		want += " ********"
	}
	c, err := config.Load(filepath.Join(d.dir, "ratchet.toml"))
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	said := ""
	for _, name := range []string{"p0", "p1", "p2", "k0", "k1", "k2", "link.password"} {
		said += " secret of " + name + "-0123456789"
		for verb, may := range map[string]func(string) error{"read": a.policy().Readable, "written": a.policy().Writable} {
			if may(filepath.Join(d.dir, name)) == nil {
				t.Errorf("%s can be %s by a job", name, verb)
			}
		}
	}
	if got := a.secrets.Hide(string([]byte(said))); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	lines := `{"n":1,"line":"a login with secret of p1-0123456789"}` + "\n" + `["secret of k\u0030-0123456789",7]` + "\n" + `null` + "\n"
	if got, want := string(a.secrets.HideLines([]byte(lines))), `{"line":"a login with ********","n":1}`+"\n"+`["********",7]`+"\n"+"null\n"; got != want {
		t.Errorf("what a data step publishes: got %s, want %s", got, want)
	}
	d.write("p2", "another-password\n")
	if got := a.secrets.Hide(string([]byte("an another-password"))); got != "an ********" {
		t.Errorf("got %q, want what the file holds now hidden", got)
	}
}

// A key is known by where it lies: under another name it would be one that was
// given for no broker yet.
func TestSettingsCannotNameASASKeyByAnotherName(t *testing.T) {
	d := &device{t: t, dir: t.TempDir()}
	d.write("ratchet.toml", fmt.Sprintf("device = \"gw-1\"\nstate = %q\n[link]\ndialect = \"azure\"\nbroker = \"tls://h.azure-devices.net:8883\"\nsasKeyFile = \"link.sas\"\n", filepath.Join(d.dir, "state")))
	d.write("link.sas", "a2V5\n")
	elsewhere := filepath.Join(t.TempDir(), "alias")
	if err := os.Symlink(filepath.Join(d.dir, "link.sas"), elsewhere); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(filepath.Join(d.dir, "ratchet.toml"))
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(c, discard())
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{elsewhere, d.dir + "/./link.sas", "../" + filepath.Base(d.dir) + "/link.sas"} {
		err := a.trySettings("net", fmt.Sprintf("[link]\nbroker = \"tls://evil:8883\"\nhub = \"h.azure-devices.net\"\nsasKeyFile = %q\n", file), true)
		if err == nil {
			t.Errorf("%s: it was taken", file)
		}
	}
}
