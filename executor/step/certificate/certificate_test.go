package certificate_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ratchetd/ratchet/executor/step/certificate"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// A link cannot wait until a cut exchange is resumed: it may be needed for that.
func TestTheLinkFindsACertificateWithItsKeyWhereverTheExchangeIsCut(t *testing.T) {
	ca := steptest.NewAuthority(t, "ca", nil)
	before, next := steptest.NewECKey(t), steptest.NewECKey(t)
	with, _ := json.Marshal(map[string]any{"install": map[string]any{"certificate": ca.Issue(next, -time.Hour, time.Hour)}})
	seen := map[string]int{}
	look := func(dir string) {
		cert, _ := os.ReadFile(filepath.Join(dir, "link.pem"))
		keys, _ := os.ReadFile(filepath.Join(dir, "link.key"))
		pair, err := certificate.KeyPair(cert, keys)
		if err != nil {
			t.Fatalf("no pair: %v", err)
		}
		seen[fmt.Sprint(pair.Leaf.PublicKey.(*ecdsa.PublicKey).Equal(&next.PublicKey))]++
	}
	dir := t.TempDir()
	if err := steptest.Place(map[string]string{"link.pem": ca.Issue(before, -time.Hour, time.Hour), "link.key": steptest.KeyPEM(t, before), "pending.key": steptest.KeyPEM(t, next)})(dir); err != nil {
		t.Fatal(err)
	}
	k := steptest.OnDevice(dir)
	k.Files.Before = func(string, ...string) error { look(dir); return nil }
	a := steptest.NewAttempt(t, "%s", with)
	if err := errors.Join(a.Run(t.Context(), k), a.Undo(k)); err != nil {
		t.Fatal(err)
	}
	look(dir)
	if seen["true"] < 5 || seen["false"] < 5 {
		t.Errorf("got %v looks by whether the new one was there, want several of both", seen)
	}
}

func TestARequestIsForAKeyThatNeverLeavesTheDevice(t *testing.T) {
	dir := t.TempDir()
	a := steptest.NewAttempt(t, `{"request":{"organization":"Ovens & Co","dnsNames":["gw-1.example.com"]}}`)
	if err := a.Run(t.Context(), steptest.OnDevice(dir)); err != nil {
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
		for where, text := range map[string]string{"result": string(a.LastResult), "checkpoint": string(a.Saved), "output": a.Out.String() + a.ErrOut.String()} {
			if strings.Contains(text, strings.TrimSpace(line)) {
				t.Errorf("the %s holds the key's %q", where, line)
			}
		}
	}
	// Another job that requests gets the same key, as long as it waits.
	b := steptest.NewAttempt(t, `{"request":{"commonName":"other"}}`)
	if err := b.Run(t.Context(), steptest.OnDevice(dir)); err != nil {
		t.Fatal(err)
	}
	again := requested(t, b)
	if !again.PublicKey.(*ecdsa.PublicKey).Equal(csr.PublicKey) || again.Subject.CommonName != "other" {
		t.Errorf("got another key, or subject %s, want the key that waits and the subject other", again.Subject)
	}
}

func requested(t *testing.T, a *steptest.Attempt) *x509.CertificateRequest {
	t.Helper()
	var result struct{ CSR string }
	if err := json.Unmarshal(a.LastResult, &result); err != nil {
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
	root := steptest.NewAuthority(t, "root", nil)
	ca, other := steptest.NewAuthority(t, "ca", root), steptest.NewAuthority(t, "other", nil)
	key := steptest.NewECKey(t)
	good := ca.Issue(key, -time.Hour, time.Hour)
	for _, tt := range []struct{ name, cert, chain, want string }{
		{"with its chain", good, ca.Pem + root.Pem, ""},
		{"the chain behind it", good + ca.Pem, root.Pem, ""},
		{"alone", good, "", ""},
		{"of another key", ca.Issue(steptest.NewECKey(t), -time.Hour, time.Hour), "", "a key that this device does not have"},
		{"ended", ca.Issue(key, -time.Hour, -time.Minute), "", "it ended on "},
		{"not begun", ca.Issue(key, time.Hour, 2*time.Hour), "", "it does not begin before "},
		{"another's chain", good, other.Pem, `"CN=other" did not sign "CN=gw-1"`},
		{"the chain turned round", good, root.Pem + ca.Pem, `"CN=root" did not sign "CN=gw-1"`},
		{"nothing", "", "", "want the certificate as PEM"},
		{"no PEM", "hello", "", "install.certificate: want nothing but certificates"},
		{"cut", good[:len(good)/2], "", "install.certificate: want nothing but certificates"},
		{"with a private key", good, steptest.KeyPEM(t, key), "install.chain: want nothing but certificates"},
		{"no certificate in it", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "", "install: certificate 1: "},
	} {
		dir := t.TempDir()
		if err := steptest.Place(map[string]string{"pending.key": steptest.KeyPEM(t, key)})(dir); err != nil {
			t.Fatal(err)
		}
		with, _ := json.Marshal(map[string]any{"install": map[string]string{"certificate": tt.cert, "chain": tt.chain}})
		k, a := steptest.OnDevice(dir), steptest.NewAttempt(t, "%s", with)
		checked, ran := k.Check(with), a.Run(t.Context(), k)
		if tt.want == "" && (checked != nil || ran != nil) {
			t.Errorf("%s: got %v and %v, want it installed", tt.name, checked, ran)
		}
		if tt.want != "" {
			steptest.WantError(t, checked, tt.want)
			steptest.WantError(t, ran, tt.want)
			if _, err := os.Stat(k.Cert); !os.IsNotExist(err) {
				t.Errorf("%s: it was installed (%v)", tt.name, err)
			}
		}
	}
}

// A clock that was never set is behind the authority's; no reason to refuse.
func TestACertificateMayBeginAfterWhatAnUnsetClockSays(t *testing.T) {
	ca, key, dir := steptest.NewAuthority(t, "ca", nil), steptest.NewECKey(t), t.TempDir()
	if err := steptest.Place(map[string]string{"pending.key": steptest.KeyPEM(t, key)})(dir); err != nil {
		t.Fatal(err)
	}
	with, _ := json.Marshal(map[string]any{"install": map[string]string{"certificate": ca.Issue(key, time.Hour, 2*time.Hour)}})
	k := steptest.OnDevice(dir)
	k.Now = func() (time.Time, bool) { return time.Now(), false }
	if err := k.Check(with); err != nil {
		t.Error(err)
	}
}

// TestACertificateThatBeginsInAMomentIsWaitedFor: the authority's clock is minutes ahead.
func TestACertificateThatBeginsInAMomentIsWaitedFor(t *testing.T) {
	ca, key, dir := steptest.NewAuthority(t, "ca", nil), steptest.NewECKey(t), t.TempDir()
	if err := steptest.Place(map[string]string{"pending.key": steptest.KeyPEM(t, key)})(dir); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		with, _ := json.Marshal(map[string]any{"install": map[string]string{"certificate": ca.Issue(key, 3*time.Minute, time.Hour)}})
		k, a := steptest.OnDevice(dir), steptest.NewAttempt(t, "%s", with)
		if err := errors.Join(k.Check(with), a.Run(t.Context(), k)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 3*time.Minute || took > 4*time.Minute {
			t.Errorf("got it installed after %s, want 3m0s", took)
		}
	})
}

func TestWhatIsInUseWaitsForNothing(t *testing.T) {
	ca, key, dir := steptest.NewAuthority(t, "ca", nil), steptest.NewECKey(t), t.TempDir()
	for _, waits := range []bool{true, false} {
		pending := key
		if !waits { // another request has been made since
			pending = steptest.NewECKey(t)
		}
		if err := steptest.Place(map[string]string{"pending.key": steptest.KeyPEM(t, pending), "link.key": steptest.KeyPEM(t, key)})(dir); err != nil {
			t.Fatal(err)
		}
		with, _ := json.Marshal(map[string]any{"install": map[string]string{"certificate": ca.Issue(key, -time.Hour, time.Hour)}})
		k, a := steptest.OnDevice(dir), steptest.NewAttempt(t, "%s", with)
		if err := errors.Join(a.Run(t.Context(), k), k.Confirm(t.Context(), a.Next()), k.Confirm(t.Context(), a.Next())); err != nil {
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
		steptest.WantError(t, certificate.Kind{}.Check([]byte(with)), want)
	}
	if err := (certificate.Kind{}).Check([]byte(`{"request":{"commonName":"gw-7","country":"DE"}}`)); err != nil {
		t.Errorf("got %v, want none", err)
	}
}

func TestOnlyAnInstallIsOnTrial(t *testing.T) {
	ca := steptest.NewAuthority(t, "ca", nil)
	install, _ := json.Marshal(map[string]any{"install": map[string]string{"certificate": ca.Pem}})
	for with, want := range map[string]bool{`{"request":{}}`: false, string(install): true} {
		if got := (certificate.Kind{}).Trial([]byte(with)) != nil; got != want {
			t.Errorf("%s: got %v, want %v", with, got, want)
		}
	}
}
