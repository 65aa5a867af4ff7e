package agent

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
)

// identify gives the device a certificate that ends so soon, and its key.
func (d *device) identify(ends time.Duration) {
	d.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		d.t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(ends)}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		d.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		d.t.Fatal(err)
	}
	d.write("link.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	d.write("link.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
}

// configuration is what newDevice wrote; its last section is link.
func (d *device) configuration() string {
	d.t.Helper()
	text, err := os.ReadFile(filepath.Join(d.dir, "ratchet.toml"))
	if err != nil {
		d.t.Fatal(err)
	}
	return string(text)
}

func TestACertificateThatEndsSoonIsToldUntilItIsRenewed(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "")
	d.identify(29 * 24 * time.Hour)
	d.write("ratchet.toml", d.configuration()+"cert = \"link.pem\"\nkey = \"link.key\"\n")
	d.start().online(b)
	const topic = "ratchet/v1/device/gw-1/alerts/certificate"
	b.await(topic, func(p string) bool {
		return strings.Contains(p, `"state":"raised"`) && strings.Contains(p, `"severity":"warning"`) &&
			strings.Contains(p, "link.cert ends on "+time.Now().Add(29*24*time.Hour).UTC().Format("2006-01-02"))
	})
	d.identify(31 * 24 * time.Hour)
	d.link.Restart()
	b.await(topic, func(p string) bool { return strings.Contains(p, `"state":"cleared"`) })
}

// A device that comes with a password only gets its first certificate by two
// jobs; the settings that name it are on trial for themselves.
func TestADeviceWithoutACertificateGetsItsFirst(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	b.offer("device/gw-1", `{"id":"ask","steps":[{"name":"ask","certificate":{"request":{}}}]}`)
	s := b.final("ask")
	wantState(t, s, executor.Succeeded)
	var result struct{ CSR string }
	if err := json.Unmarshal(s.Steps[0].Result, &result); err != nil {
		t.Fatal(err)
	}
	b.offer("device/gw-1", map[string]any{"id": "first", "steps": []any{
		map[string]any{"name": "install", "certificate": map[string]any{"install": map[string]any{"certificate": certifyAnew(t, result.CSR)}}},
		map[string]any{"name": "use", "settings": map[string]any{"name": "cert", "content": "[link]\ncert = \"link.crt\"\nkey = \"link.key\"\n"}}}})
	wantState(t, b.final("first"), executor.Succeeded)
	if pair, err := d.config.Load().Pair(); err != nil || pair.Leaf.Subject.CommonName != "gw-1" {
		t.Errorf("got %v, want the certificate of gw-1 in use", err)
	}
	b.offer("device/gw-1", map[string]any{"id": "read", "steps": []any{map[string]any{"name": "f",
		"file": map[string]any{"path": filepath.Join(d.dir, "x"), "from": filepath.Join(d.dir, "link.key")}}}})
	if s := b.final("read"); s.State == executor.Succeeded || !strings.Contains(s.Reason, "is protected") {
		t.Errorf("got %s (%s) from a job that reads the key, want that it is protected", s.State, s.Reason)
	}
}

// certifyAnew is what an authority made up for it answers to a request.
func certifyAnew(t *testing.T, text string) string {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: csr.Subject, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, form, form, csr.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestNoKindReadsAKeyOfTheDevice(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "")
	d.identify(24 * time.Hour)
	d.write("ratchet.toml", d.configuration()+"cert = \"link.pem\"\nkey = \"link.key\"\n")
	d.start().online(b)
	for id, path := range map[string]string{"key": "link.key", "beside": ".link.key.ratchet-new", "pending": "state/pending.key"} {
		b.offer("device/gw-1", map[string]any{"id": id, "steps": []any{map[string]any{"name": "f",
			"file": map[string]any{"path": filepath.Join(d.dir, path), "content": ""}}}})
		s := b.final(id)
		if wantState(t, s, "rejected"); !strings.Contains(s.Reason, "is protected") {
			t.Errorf("%s: got reason %q, want that it is protected", id, s.Reason)
		}
	}
}

// A command that runs as root can read the key; what it says is masked all the same.
func TestNoReportHoldsAKeyOfTheDevice(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "")
	d.identify(24 * time.Hour)
	d.write("ratchet.toml", d.configuration()+"cert = \"link.pem\"\nkey = \"link.key\"\n")
	d.start().online(b)
	b.offer("device/gw-1", map[string]any{"id": "cat", "steps": []any{
		map[string]any{"name": "ask", "certificate": map[string]any{"request": map[string]any{}}},
		map[string]any{"name": "cat", "command": map[string]any{"argv": []string{"cat", filepath.Join(d.dir, "link.key"), filepath.Join(d.dir, "state/pending.key")}}}}})
	s := b.final("cat")
	wantState(t, s, "succeeded")
	if got, want := strings.Count(s.Steps[1].Output, "********"), 6; got != want {
		t.Errorf("got %d masked lines, want the %d of two keys: %s", got, want, s.Steps[1].Output)
	}
	if csr := string(s.Steps[0].Result); !strings.Contains(csr, "-----BEGIN CERTIFICATE REQUEST-----") {
		t.Errorf("got %s, want a request with nothing masked", csr)
	}
}
