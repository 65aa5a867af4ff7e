package agent

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/link"
	"github.com/ratchetd/ratchet/executor"
)

// settingsDoc is a job of one settings step.
func settingsDoc(id, name, content, within string) map[string]any {
	s := map[string]any{"name": "settings", "settings": map[string]any{"name": name, "content": content}}
	if within != "" {
		s["confirm"] = map[string]any{"within": within}
	}
	return map[string]any{"id": id, "steps": []any{s}}
}

func TestSettingsThatCutTheDeviceOffComeBackByThemselves(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	nobody := deadAddress(t)
	b.offer("device/gw-1", settingsDoc("j1", "net", "[link]\nbroker = \"tcp://"+nobody+"\"\n", "5s"))
	s := b.final("j1")
	wantState(t, s, executor.Failed)
	for _, want := range []string{"not confirmed within 5s", "no connection to the broker", "; undone"} {
		if !strings.Contains(s.Reason, want) {
			t.Errorf("reason: got %q, want %q in it", s.Reason, want)
		}
	}
	if _, err := os.Stat(filepath.Join(d.dir, "conf.d")); !os.IsNotExist(err) {
		t.Errorf("the undo left conf.d behind (%v)", err)
	}
	d.online(b)
	if got, want := d.config.Load().Link.Broker, "tcp://"+b.addr; got != want {
		t.Errorf("got broker %s, want %s", got, want)
	}
	file := filepath.Join(d.dir, "ran")
	b.offer("device/gw-1", doc("j2", file, "a"))
	wantState(t, b.final("j2"), executor.Succeeded)
}

// A restart in the trial is not the end of it: the agent that comes back has
// the settings that lie there, holds the trial again and takes them back.
func TestSettingsOnTrialAreTakenBackAfterARestartToo(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	b.offer("device/gw-1", settingsDoc("j1", "net", "[link]\nbroker = \"tcp://"+deadAddress(t)+"\"\n", "12s"))
	conf := filepath.Join(d.dir, "conf.d/net.toml")
	await(t, "the new settings", func() bool { _, err := os.Stat(conf); return err == nil })
	await(t, "the trial", func() bool { return d.onTrial("j1") })
	d.stop()
	if _, err := os.Stat(conf); err != nil {
		t.Fatalf("the settings were taken back when the agent was stopped: %v", err)
	}
	d.start()
	s := b.final("j1")
	wantState(t, s, executor.Failed)
	if !strings.Contains(s.Reason, "not confirmed within 12s") || read(t, conf) != "" {
		t.Errorf("got reason %q and %q there, want a failed trial and nothing", s.Reason, read(t, conf))
	}
}

func TestGoodSettingsStayAndAreInForce(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	file := filepath.Join(d.dir, "ran")
	b.offer("group/early", doc("early", file, "early")) // nobody's yet
	// No confirm: it is on trial all the same.
	b.offer("device/gw-1", settingsDoc("j1", "10-fleet", "groups = [\"early\"]\n[tags]\nfloor = 3\n", ""))
	wantState(t, b.final("j1"), executor.Succeeded)
	wantState(t, b.final("early"), executor.Succeeded)
	b.await("ratchet/v1/device/gw-1/facts", func(p string) bool {
		return strings.Contains(p, `"groups":["early"]`) && strings.Contains(p, `"tags":{"floor":3,"site":"berlin"}`)
	})
	if got := read(t, filepath.Join(d.dir, "conf.d/10-fleet.toml")); !strings.HasPrefix(got, "groups = ") {
		t.Errorf("got %q in conf.d", got)
	}
	// What it left is left, and what it does not say any more is as before.
	j2 := map[string]any{"id": "j2", "steps": []any{map[string]any{"name": "s", "settings": map[string]any{"name": "10-fleet", "absent": true}}}}
	b.offer("device/gw-1", j2)
	wantState(t, b.final("j2"), executor.Succeeded)
	await(t, "the old group", func() bool { return fmt.Sprint(d.config.Load().Groups) == "[routers]" })
	d.online(b)
	b.offer("group/early", doc("third", file, "third"))
	b.offer("group/routers", doc("fourth", file, "fourth"))
	wantState(t, b.final("fourth"), executor.Succeeded)
	if got := read(t, file); got != "early fourth" {
		t.Errorf("ran %q, want early, for the group it joined, and fourth, for the one it is in again", got)
	}
}

func TestSettingsThatNoAgentCouldRunWithAreRefused(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	for id, c := range map[string]struct{ content, want string }{
		"unknown": {"[link]\nbrokr = 1\n", "net.toml:2: link.brokr: unknown key"},
		"policy":  {"[policy]\nallow = [\"*\"]\n", "policy: it may stand in ratchet.toml only"},
		"device":  {"device = \"gw-2\"\n", "device and state cannot change"},
		"state":   {"state = \"/elsewhere\"\n", "device and state cannot change"},
		"broker":  {"[link]\nbroker = \"\"\n", "link.broker: "},
		"toml":    {"link = \n", "net.toml:1: "},
		"escape":  {"", "name: "},
	} {
		name := "net"
		if id == "escape" {
			name = "../ratchet"
		}
		b.offer("device/gw-1", settingsDoc(id, name, c.content, ""))
		s := b.final(id)
		wantState(t, s, executor.Rejected)
		if !strings.Contains(s.Reason, c.want) || !strings.Contains(s.Reason, "steps[0].settings: ") {
			t.Errorf("%s: got reason %q, want %q in it", id, s.Reason, c.want)
		}
	}
	if _, err := os.Stat(filepath.Join(d.dir, "conf.d")); !os.IsNotExist(err) {
		t.Error("a refused job left something behind")
	}
}

// One job can bring a certificate and the settings that name it; but settings
// whose files are not there when it is their turn are never written.
func TestSettingsMayNameAFileThatAnEarlierStepBrings(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	j := settingsDoc("bring", "ca", fmt.Sprintf("[link]\nca = %q\n", ca), "")
	j["steps"] = append([]any{map[string]any{"name": "ca", "file": map[string]any{"path": ca, "content": certificatePEM(t)}}}, j["steps"].([]any)...)
	b.offer("device/gw-1", settingsDoc("lack", "ca", fmt.Sprintf("[link]\nca = %q\n", ca), ""))
	s := b.final("lack")
	wantState(t, s, executor.Failed)
	if !strings.Contains(s.Reason, "link.ca: ") {
		t.Errorf("got reason %q, want link.ca in it", s.Reason)
	}
	b.offer("device/gw-1", j)
	wantState(t, b.final("bring"), executor.Succeeded)
	if got := d.config.Load().Link.CA; got != ca {
		t.Errorf("got ca %q, want %q", got, ca)
	}
}

func TestOnlySettingsMayWriteSettings(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	b.offer("device/gw-1", map[string]any{"id": "j1", "steps": []any{map[string]any{"name": "f",
		"file": map[string]any{"path": filepath.Join(d.dir, "conf.d/net.toml"), "content": ""}}}})
	s := b.final("j1")
	wantState(t, s, executor.Rejected)
	if !strings.Contains(s.Reason, "is protected") {
		t.Errorf("got reason %q, want that it is protected", s.Reason)
	}
}

// A daemon whose certificate is gone must start all the same: it may have to
// take back the very change that brought it there.
func TestFilesThatAreMissingKeepTheConfigurationUsable(t *testing.T) {
	dir := configDir(t, map[string]string{"ratchet.toml": minimal + "ca = \"gone.pem\"\n"})
	c, err := config.Load(filepath.Join(dir, "ratchet.toml"))
	if c == nil || err == nil || !strings.Contains(err.Error(), "link.ca: ") {
		t.Fatalf("got %v, %v, want a configuration and an error about link.ca", c, err)
	}
	if _, err := link.Try(patient(t), c); err == nil || !strings.Contains(err.Error(), "link.ca: ") {
		t.Errorf("got %v from the connection, want one about link.ca", err)
	}
}

// deadAddress is one at which nobody listens as long as the test lasts: its port
// is taken, so that no other test gets it.
func deadAddress(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
}

// certificatePEM is a certificate of nobody.
func certificatePEM(t *testing.T) string {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
