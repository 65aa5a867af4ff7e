package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"aead.dev/minisign"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/certificate"
	"github.com/ratchetd/ratchet/scripts/authority"
)

// TestE2ECertificateRotationIsKilledAtEveryCommit holds rotations with mosquitto
// and mutual TLS: wherever a kill -9 cuts one, the good certificate goes through,
// and the bad one leaves the certificate and key that were there.
func TestE2ECertificateRotationIsKilledAtEveryCommit(t *testing.T) {
	needMosquitto(t)
	t.Parallel()
	for _, issuer := range []string{"broker", "stranger"} {
		t.Run(map[string]string{"broker": "good", "stranger": "bad"}[issuer], func(t *testing.T) {
			t.Parallel()
			for n := 1; n <= 6; n++ {
				for _, side := range []string{"before", "after"} {
					point := fmt.Sprintf("%d-%s", n, side)
					t.Run(point, func(t *testing.T) {
						t.Parallel()
						rotateAndDie(t, issuer, point)
					})
				}
			}
		})
	}
}

// rotateAndDie kills the daemon at the point, the first of which is that the
// install is accepted.
func rotateAndDie(t *testing.T, issuer, point string) {
	v := &victim{site: siteWithTLS(t), t: t}
	v.run()
	v.must(v.watcher.send("jobs/device/gw-1/ask", []byte(`{"id":"ask","steps":[{"name":"ask","certificate":{"request":{}}}]}`)))
	v.final("ask")
	v.daemons["gw-1"].kill()
	folder := filepath.Join(v.dir, issuer)
	if issuer == "stranger" {
		v.must(errors.Join(os.MkdirAll(folder, 0o700), authority.Write(folder, "gw-1")))
	}
	v.must(v.certify("ask", folder))
	before := v.pair()
	v.must(v.watcher.send("jobs/device/gw-1/renew", v.fill([]byte(
		`{"id":"renew","steps":[{"name":"renew","confirm":{"within":"3s"},"certificate":{"install":{"certificate":"${CERTIFICATE}"}}}]}`))))
	d := v.run(dieAt + "=" + point)
	v.must(d.wait())
	v.pair()
	v.run()
	s, want := v.final("renew"), map[string]executor.State{"broker": executor.Succeeded, "stranger": executor.Failed}[issuer]
	if s.State != want {
		t.Errorf("got %s (%s), want %s", s.State, s.Reason, want)
	}
	if same := v.pair() == before; same != (want == executor.Failed) {
		t.Errorf("it %s, and that the certificate and its key are those from before is %v", s.State, same)
	}
	v.stands()
}

// pair wants a certificate with its key, and returns both.
func (v *victim) pair() string {
	v.t.Helper()
	cert, err := os.ReadFile(filepath.Join(v.dir, "etc", "device.crt"))
	v.must(err)
	key, err := os.ReadFile(filepath.Join(v.dir, "etc", "device.key"))
	v.must(err)
	if _, err := certificate.KeyPair(cert, key); err != nil {
		v.t.Errorf("the device has no certificate with its key: %v", err)
	}
	return string(cert) + string(key)
}

// stands wants the link to stand on what lies there now.
func (v *victim) stands() {
	v.t.Helper()
	v.daemons["gw-1"].kill()
	v.run()
	v.must(v.watcher.send("jobs/device/gw-1/after", []byte(`{"id":"after","steps":[{"name":"a","command":{"argv":["true"]}}]}`)))
	if s := v.final("after"); s.State != executor.Succeeded {
		v.t.Errorf("got %s (%s) from the job behind it", s.State, s.Reason)
	}
}

func (v *victim) must(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
}

// siteWithTLS is one with mosquitto, which wants certificates of its devices.
func siteWithTLS(t *testing.T) *site {
	t.Helper()
	s, err := newSite(t.TempDir(), mosquitto, "ratchetd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	etc := filepath.Join(s.dir, "etc")
	err = errors.Join(s.start("tls"), os.Mkdir(etc, 0o700),
		os.Link(filepath.Join(s.broker.dir, "device.crt"), filepath.Join(etc, "device.crt")),
		os.Link(filepath.Join(s.broker.dir, "device.key"), filepath.Join(etc, "device.key")),
		os.WriteFile(s.config("gw-1"), fmt.Appendf(nil, "device = \"gw-1\"\nstate = %q\n[link]\nbroker = %q\nspread = \"0s\"\nca = %q\ncert = \"device.crt\"\nkey = \"device.key\"\n",
			s.state("gw-1"), s.broker.url("tls"), filepath.Join(s.broker.dir, "ca.crt")), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestE2EKeyRotationIsKilledAtEveryCommit holds rotations of the keys that sign:
// wherever a kill -9 cuts one, a key that signs stays alone, and one that never
// does leaves the old key.
func TestE2EKeyRotationIsKilledAtEveryCommit(t *testing.T) {
	needMosquitto(t)
	t.Parallel()
	for _, signs := range []bool{true, false} {
		t.Run(map[bool]string{true: "good", false: "never signs"}[signs], func(t *testing.T) {
			t.Parallel()
			for n := 1; n <= 6; n++ {
				for _, side := range []string{"before", "after"} {
					point := fmt.Sprintf("%d-%s", n, side)
					t.Run(point, func(t *testing.T) {
						t.Parallel()
						rotateKeysAndDie(t, signs, point)
					})
				}
			}
		})
	}
}

func rotateKeysAndDie(t *testing.T, signs bool, point string) {
	v := newVictim(t, mosquitto)
	v.must(os.MkdirAll(filepath.Dir(v.config("gw-1")), 0o700))
	v.must(os.WriteFile(v.config("gw-1"), fmt.Appendf(nil, "device = \"gw-1\"\nstate = %q\n[link]\nbroker = %q\nspread = \"0s\"\n[policy]\nkeys = [%q]\n",
		v.state("gw-1"), v.broker.url("tcp"), v.vars["KEY"]), 0o600))
	v.signed("KEY", "rotate", `{"name":"rotate","confirm":{"within":"4s"},"keys":{"set":["${KEY2}"],"sequence":1}}`)
	if signs { // it is refused, and judged again when its key counts
		v.signed("KEY2", "proof", `{"name":"a","command":{"argv":["true"]}}`)
	}
	d := v.run(dieAt + "=" + point)
	v.must(d.wait())
	v.run()
	s, want := v.final("rotate"), map[bool]executor.State{true: executor.Succeeded, false: executor.Failed}[signs]
	if s.State != want {
		t.Errorf("got %s (%s), want %s", s.State, s.Reason, want)
	}
	v.daemons["gw-1"].kill()
	v.run()
	for name, counts := range map[string]bool{"KEY": !signs, "KEY2": signs} {
		id := "by-" + name
		v.signed(name, id, `{"name":"a","command":{"argv":["true"]}}`)
		v.must(v.watcher.sees("device/gw-1/jobs/"+id, fmt.Sprintf(`.state == %q`, map[bool]string{true: "succeeded", false: "rejected"}[counts])))
	}
}

// signed offers a job of one step that a key of the site has signed.
func (v *victim) signed(key, id, step string) {
	v.t.Helper()
	text := v.fill(fmt.Appendf(nil, `{"id":%q,"expires":"2099-01-01T00:00:00Z","audience":["all"],"steps":[%s]}`, id, step))
	e := dialect.Envelope{Job: string(text), Signature: string(minisign.Sign(v.keys[key], text))}
	v.must(v.watcher.send("jobs/device/gw-1/"+id, e.Payload()))
}
