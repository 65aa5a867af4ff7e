package step_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// An authority issues certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newAuthority(t *testing.T, name string, by *authority) *authority {
	t.Helper()
	a := &authority{t: t, key: newECKey(t)}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	if by == nil {
		by = &authority{cert: form, key: a.key}
	}
	a.pem = sign(t, form, by, a.key)
	block, _ := pem.Decode([]byte(a.pem))
	var err error
	if a.cert, err = x509.ParseCertificate(block.Bytes); err != nil {
		t.Fatal(err)
	}
	return a
}

func newECKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t *testing.T, form *x509.Certificate, by *authority, key *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, form, by.cert, &key.PublicKey, by.key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// issue certifies a key from now on, from begin to end.
func (a *authority) issue(key *ecdsa.PrivateKey, begin, end time.Duration) string {
	return sign(a.t, &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "gw-1"},
		NotBefore: time.Now().Add(begin), NotAfter: time.Now().Add(end)}, a, key)
}

func keyPEM(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// identity is the kind on a device whose files lie in dir.
func identity(dir string) step.Certificate {
	return step.Certificate{Cert: filepath.Join(dir, "link.pem"), Key: filepath.Join(dir, "link.key"),
		Pending: filepath.Join(dir, "pending.key"), Device: "gw-1"}
}

// unasked is a kind whose Check depends on files that are not there yet when
// the suite asks for it.
type unasked struct{ late }

func (unasked) Check(with json.RawMessage) error { return step.Certificate{}.Check(with) }

// certificateCases are what the suite cuts of the kind certificate.
func certificateCases(t *testing.T) []steptest.Case {
	var dir string
	ca := newAuthority(t, "ca", nil)
	before, next := newECKey(t), newECKey(t)
	kind := func(f safefile.Files) executor.Kind {
		return unasked{late{func() undoable {
			k := identity(dir).Drawing(next) // so that its runs can be compared
			k.Files = f
			return k
		}}}
	}
	present := map[string]string{"link.pem": ca.issue(before, -time.Hour, time.Hour), "link.key": keyPEM(t, before)}
	waiting := map[string]string{"pending.key": keyPEM(t, next), "link.pem": present["link.pem"], "link.key": present["link.key"]}
	with := func(with string) func(string) string {
		return func(d string) string {
			dir = d
			return with
		}
	}
	install := func(key *ecdsa.PrivateKey) func(string) string {
		text, _ := json.Marshal(map[string]any{"install": map[string]any{"certificate": ca.issue(key, -time.Hour, time.Hour), "chain": ca.pem}})
		return with(string(text))
	}
	return []steptest.Case{
		{Name: "certificate, request", Kind: kind, Setup: there(present), With: with(`{"request":{}}`)},
		{Name: "certificate, same request", Kind: kind, Setup: there(waiting), With: with(`{"request":{}}`)},
		{Name: "certificate, install", Kind: kind, Setup: there(waiting), With: install(next)},
		{Name: "certificate, first install", Kind: kind, Setup: there(map[string]string{"pending.key": waiting["pending.key"]}), With: install(next)},
	}
}

// there puts files with these contents into a directory.
func there(files map[string]string) func(dir string) error {
	return func(dir string) error {
		var errs []error
		for name, text := range files {
			errs = append(errs, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
		}
		return errors.Join(errs...)
	}
}

// A link cannot wait until a cut exchange is resumed: it may be needed for that.
func TestTheLinkFindsACertificateWithItsKeyWhereverTheExchangeIsCut(t *testing.T) {
	ca := newAuthority(t, "ca", nil)
	before, next := newECKey(t), newECKey(t)
	with, _ := json.Marshal(map[string]any{"install": map[string]any{"certificate": ca.issue(next, -time.Hour, time.Hour)}})
	seen := map[string]int{}
	look := func(dir string) {
		cert, _ := os.ReadFile(filepath.Join(dir, "link.pem"))
		keys, _ := os.ReadFile(filepath.Join(dir, "link.key"))
		pair, err := step.KeyPair(cert, keys)
		if err != nil {
			t.Fatalf("no pair: %v", err)
		}
		seen[fmt.Sprint(pair.Leaf.PublicKey.(*ecdsa.PublicKey).Equal(&next.PublicKey))]++
	}
	dir := t.TempDir()
	if err := there(map[string]string{"link.pem": ca.issue(before, -time.Hour, time.Hour), "link.key": keyPEM(t, before), "pending.key": keyPEM(t, next)})(dir); err != nil {
		t.Fatal(err)
	}
	k := identity(dir)
	k.Files.Before = func(string, ...string) error { look(dir); return nil }
	a := newAttempt(t, "%s", with)
	if err := errors.Join(a.run(t.Context(), k), a.undo(k)); err != nil {
		t.Fatal(err)
	}
	look(dir)
	if seen["true"] < 5 || seen["false"] < 5 {
		t.Errorf("got %v looks by whether the new one was there, want several of both", seen)
	}
}

func TestARequestIsForAKeyThatNeverLeavesTheDevice(t *testing.T) {
	dir := t.TempDir()
	a := newAttempt(t, `{"request":{"organization":"Ovens & Co","dnsNames":["gw-1.example.com"]}}`)
	if err := a.run(t.Context(), identity(dir)); err != nil {
		t.Fatal(err)
	}
	csr, key := requested(t, a), readFile(t, filepath.Join(dir, "pending.key"))
	if got, want := csr.Subject.String()+" "+fmt.Sprint(csr.DNSNames), "CN=gw-1,O=Ovens & Co [gw-1.example.com]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if curve := csr.PublicKey.(*ecdsa.PublicKey).Curve; curve != elliptic.P256() {
		t.Errorf("got curve %v, want P-256", curve)
	}
	info, err := os.Stat(filepath.Join(dir, "pending.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want mode 0600", info, err)
	}
	for line := range strings.Lines(key) {
		for where, text := range map[string]string{"result": string(a.result), "checkpoint": string(a.saved), "output": a.out.String() + a.err.String()} {
			if strings.Contains(text, strings.TrimSpace(line)) {
				t.Errorf("the %s holds the key's %q", where, line)
			}
		}
	}
	// Another job that requests gets the same key, as long as it waits.
	b := newAttempt(t, `{"request":{"commonName":"other"}}`)
	if err := b.run(t.Context(), identity(dir)); err != nil {
		t.Fatal(err)
	}
	again := requested(t, b)
	if !again.PublicKey.(*ecdsa.PublicKey).Equal(csr.PublicKey) || again.Subject.CommonName != "other" {
		t.Errorf("got another key, or subject %s, want the key that waits and the subject other", again.Subject)
	}
}

func requested(t *testing.T, a *attempt) *x509.CertificateRequest {
	t.Helper()
	var result struct{ CSR string }
	if err := json.Unmarshal(a.result, &result); err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(result.CSR))
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err == nil {
		err = csr.CheckSignature()
	}
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestOnlyACertificateForThisDeviceIsInstalled(t *testing.T) {
	root := newAuthority(t, "root", nil)
	ca, other := newAuthority(t, "ca", root), newAuthority(t, "other", nil)
	key := newECKey(t)
	good := ca.issue(key, -time.Hour, time.Hour)
	for _, tt := range []struct{ name, cert, chain, want string }{
		{"with its chain", good, ca.pem + root.pem, ""},
		{"the chain behind it", good + ca.pem, root.pem, ""},
		{"alone", good, "", ""},
		{"of another key", ca.issue(newECKey(t), -time.Hour, time.Hour), "", "a key that this device does not have"},
		{"ended", ca.issue(key, -time.Hour, -time.Minute), "", "it ended on "},
		{"not begun", ca.issue(key, time.Hour, 2*time.Hour), "", "it does not begin before "},
		{"another's chain", good, other.pem, `"CN=other" did not sign "CN=gw-1"`},
		{"the chain turned round", good, root.pem + ca.pem, `"CN=root" did not sign "CN=gw-1"`},
		{"nothing", "", "", "want the certificate as PEM"},
		{"no PEM", "hello", "", "install.certificate: want nothing but certificates"},
		{"cut", good[:len(good)/2], "", "install.certificate: want nothing but certificates"},
		{"with a private key", good, keyPEM(t, key), "install.chain: want nothing but certificates"},
		{"no certificate in it", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "", "install: certificate 1: "},
	} {
		dir := t.TempDir()
		if err := there(map[string]string{"pending.key": keyPEM(t, key)})(dir); err != nil {
			t.Fatal(err)
		}
		with, _ := json.Marshal(map[string]any{"install": map[string]string{"certificate": tt.cert, "chain": tt.chain}})
		k, a := identity(dir), newAttempt(t, "%s", with)
		checked, ran := k.Check(with), a.run(t.Context(), k)
		if tt.want == "" && (checked != nil || ran != nil) {
			t.Errorf("%s: got %v and %v, want it installed", tt.name, checked, ran)
		}
		if tt.want != "" {
			wantError(t, checked, tt.want)
			wantError(t, ran, tt.want)
			if _, err := os.Stat(k.Cert); !os.IsNotExist(err) {
				t.Errorf("%s: it was installed (%v)", tt.name, err)
			}
		}
	}
}

// A clock that was never set is behind the authority's; no reason to refuse.
func TestACertificateMayBeginAfterWhatAnUnsetClockSays(t *testing.T) {
	ca, key, dir := newAuthority(t, "ca", nil), newECKey(t), t.TempDir()
	if err := there(map[string]string{"pending.key": keyPEM(t, key)})(dir); err != nil {
		t.Fatal(err)
	}
	with, _ := json.Marshal(map[string]any{"install": map[string]string{"certificate": ca.issue(key, time.Hour, 2*time.Hour)}})
	k := identity(dir)
	k.Now = func() (time.Time, bool) { return time.Now(), false }
	if err := k.Check(with); err != nil {
		t.Error(err)
	}
}

func TestWhatIsInUseWaitsForNothing(t *testing.T) {
	ca, key, dir := newAuthority(t, "ca", nil), newECKey(t), t.TempDir()
	for _, waits := range []bool{true, false} {
		pending := key
		if !waits { // another request has been made since
			pending = newECKey(t)
		}
		if err := there(map[string]string{"pending.key": keyPEM(t, pending), "link.key": keyPEM(t, key)})(dir); err != nil {
			t.Fatal(err)
		}
		with, _ := json.Marshal(map[string]any{"install": map[string]string{"certificate": ca.issue(key, -time.Hour, time.Hour)}})
		k, a := identity(dir), newAttempt(t, "%s", with)
		if err := errors.Join(a.run(t.Context(), k), k.Confirm(t.Context(), a.task()), k.Confirm(t.Context(), a.task())); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(k.Pending); os.IsNotExist(err) != waits {
			t.Errorf("waits %v: got %v from the pending key", waits, err)
		}
	}
}

func TestCertificateRefuses(t *testing.T) {
	for with, want := range map[string]string{
		`{}`:                                       "exactly one of request and install",
		`{"request":{},"install":{}}`:              "exactly one of",
		`{"request":{"commonName":"a\nb"}}`:        "request.commonName: ",
		`{"request":{"country":"DEU"}}`:            "request.country: ",
		`{"request":{"dnsNames":["a b"]}}`:         "request.dnsNames: ",
		`{"request":{"key":"RSA"}}`:                "unknown field",
		`{"install":{"chain":""}}`:                 "install.certificate: want",
		`{"install":{"certificate":"","key":"x"}}`: "unknown field",
	} {
		wantError(t, step.Certificate{}.Check([]byte(with)), want)
	}
	if err := (step.Certificate{}).Check([]byte(`{"request":{"commonName":"gw-7","country":"DE"}}`)); err != nil {
		t.Errorf("got %v, want none", err)
	}
}

func TestOnlyAnInstallIsOnTrial(t *testing.T) {
	ca := newAuthority(t, "ca", nil)
	install, _ := json.Marshal(map[string]any{"install": map[string]string{"certificate": ca.pem}})
	for with, want := range map[string]bool{`{"request":{}}`: false, string(install): true} {
		if got := (step.Certificate{}).Trial([]byte(with)) != nil; got != want {
			t.Errorf("%s: got %v, want %v", with, got, want)
		}
	}
}
