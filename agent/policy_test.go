package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/executor"
)

// What the owner does not allow is refused by the name of the rule, before
// anything runs; a job that says no timeout gets the owner's.
func TestARuleOfThePolicyIsNamedWhereItIsBroken(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "[policy]\nallow = [\"command\"]\nmaxTime = \"2s\"\n").start().online(b)
	slow := map[string]any{"id": "slow", "steps": []any{map[string]any{"name": "s", "command": map[string]any{"argv": []string{"sleep", "60"}}}}}
	long := doc("long", filepath.Join(d.dir, "ran"), "long")
	long["timeout"] = "3s"
	b.offer("device/gw-1", map[string]any{"id": "kind", "steps": []any{map[string]any{"name": "s", "reboot": map[string]any{}}}})
	b.offer("device/gw-1", long)
	b.offer("device/gw-1", slow)
	for id, want := range map[string]string{"kind": "policy.allow does not allow this kind", "long": "timeout: policy.maxTime allows 2s", "slow": "2s"} {
		s := b.final(id)
		if !strings.Contains(s.Reason, want) || (s.State != executor.Rejected && id != "slow") || (s.State != executor.Failed && id == "slow") {
			t.Errorf("%s: got %s (%s), want %s", id, s.State, s.Reason, want)
		}
	}
}

// A secret that others can read is none: it is refused, and hidden all the same.
func TestANamedSecretThatOthersCanReadIsRefused(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	if err := os.Mkdir(filepath.Join(d.dir, "secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	d.write("secrets/wifi", "correct-horse")
	if err := os.Chmod(filepath.Join(d.dir, "secrets/wifi"), 0o644); err != nil {
		t.Fatal(err)
	}
	b.offer("device/gw-1", map[string]any{"id": "j", "steps": []any{
		map[string]any{"name": "cat", "command": map[string]any{"argv": []string{"cat", filepath.Join(d.dir, "secrets/wifi")}}},
		map[string]any{"name": "use", "command": map[string]any{"argv": []string{"env"}, "env": map[string]any{"K": map[string]any{"secret": "wifi"}}}},
	}})
	s := b.final("j")
	if s.State != executor.Failed || !strings.Contains(s.Reason, "others can read") || !strings.Contains(s.Reason, "run chmod 600") {
		t.Errorf("got %s (%s)", s.State, s.Reason)
	}
	if s.Steps[0].Output != "********" {
		t.Errorf("got output %q, want it hidden", s.Steps[0].Output)
	}
}

// What proves who the device is, is told by no step, whoever lets it be read.
func TestTheLinksPasswordAndKeyAreHidden(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "")
	key := "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgc\nqGSM49AwEHBG0wawIBAQQgcMIGHAgEAMBMGBy\n-----END PRIVATE KEY-----\n"
	d.write("key", key)
	d.write("password", "correct-horse\n")
	d.start().online(b)
	d.write("ratchet.toml", readAll(t, filepath.Join(d.dir, "ratchet.toml"))+"key = \"key\"\ncert = \"key\"\nusername = \"x\"\npasswordFile = \"password\"\n")
	c, err := config.Load(filepath.Join(d.dir, "ratchet.toml"))
	if err != nil {
		t.Fatal(err)
	}
	d.config.Store(c)
	got := d.secrets.Hide("the PRIVATE KEY is " + key + " and the password correct-horse")
	want := "the PRIVATE KEY is -----BEGIN PRIVATE KEY-----\n********\n********\n-----END PRIVATE KEY-----\n and the password ********"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Executables in some folders are run without being named by a job. Where the
// owner says what may be run, a job cannot put another one there.
func TestWherePolicyNamesCommandsNoJobBringsExecutables(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "[policy]\ncommands = [\"/bin/true\"]\n").start().online(b)
	for id, path := range map[string]string{"facts": filepath.Join(d.dir, "facts.d/x"), "handlers": filepath.Join(d.dir, "handlers/x"), "plugins": "/usr/lib/ratchet/plugins/x"} {
		b.offer("device/gw-1", map[string]any{"id": id, "steps": []any{map[string]any{"name": "f", "file": map[string]any{"path": path, "content": "x", "mode": "0755"}}}})
		if s := b.final(id); s.State != executor.Rejected || !strings.Contains(s.Reason, "is protected") {
			t.Errorf("%s: got %s (%s), want it protected", id, s.State, s.Reason)
		}
	}
}
