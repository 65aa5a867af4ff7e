package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
)

// TestE2ECertificateRotationIsKilledAtEveryCommit holds rotations with mosquitto
// and mutual TLS: wherever a kill -9 cuts one, the good certificate goes through,
// and the bad one leaves the certificate and key that were there.
func TestE2ECertificateRotationIsKilledAtEveryCommit(t *testing.T) {
	needMosquitto(t)
	t.Parallel()
	for _, authority := range []string{"broker", "stranger"} {
		t.Run(map[string]string{"broker": "good", "stranger": "bad"}[authority], func(t *testing.T) {
			t.Parallel()
			for n := 1; n <= 6; n++ {
				for _, side := range []string{"before", "after"} {
					point := fmt.Sprintf("%d-%s", n, side)
					t.Run(point, func(t *testing.T) {
						t.Parallel()
						rotateAndDie(t, authority, point)
					})
				}
			}
		})
	}
}

// rotateAndDie kills the daemon at the point, the first of which is that the
// install is accepted.
func rotateAndDie(t *testing.T, authority, point string) {
	v := &victim{site: siteWithTLS(t), t: t}
	v.run()
	v.must(v.watcher.send("jobs/device/gw-1/ask", []byte(`{"id":"ask","steps":[{"name":"ask","certificate":{"request":{}}}]}`)))
	v.final("ask")
	v.daemons["gw-1"].kill()
	folder := filepath.Join(v.dir, authority)
	if authority == "stranger" {
		v.must(errors.Join(os.MkdirAll(folder, 0o700), writeCertificates(folder)))
	}
	v.must(v.certify("ask", folder))
	before := v.pair()
	v.must(v.watcher.send("jobs/device/gw-1/renew", v.fill([]byte(
		`{"id":"renew","steps":[{"name":"renew","confirm":{"within":"3s"},"certificate":{"install":{"certificate":"${CERTIFICATE}"}}}]}`))))
	d := v.run(dieAt + "=" + point)
	v.must(d.wait())
	v.pair()
	v.run()
	s, want := v.final("renew"), map[string]executor.State{"broker": executor.Succeeded, "stranger": executor.Failed}[authority]
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
	if _, err := step.KeyPair(cert, key); err != nil {
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
