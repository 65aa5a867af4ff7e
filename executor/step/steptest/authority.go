package steptest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"aead.dev/minisign"

	"github.com/ratchetd/ratchet/executor/step/certificate"
)

// An authority issues certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	Pem  string
}

// NewAuthority is an authority that by has certified; nil is itself.
func NewAuthority(t *testing.T, name string, by *authority) *authority {
	t.Helper()
	a := &authority{t: t, key: NewECKey(t)}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	if by == nil {
		by = &authority{cert: form, key: a.key}
	}
	a.Pem = sign(t, form, by, a.key)
	block, _ := pem.Decode([]byte(a.Pem))
	var err error
	if a.cert, err = x509.ParseCertificate(block.Bytes); err != nil {
		t.Fatal(err)
	}
	return a
}

// NewECKey draws a key.
func NewECKey(t *testing.T) *ecdsa.PrivateKey {
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

// Issue certifies a key from now on, from begin to end.
func (a *authority) Issue(key *ecdsa.PrivateKey, begin, end time.Duration) string {
	return sign(a.t, &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "gw-1"},
		NotBefore: time.Now().Add(begin), NotAfter: time.Now().Add(end)}, a, key)
}

// Server is how a server at that address shows itself, from begin to end.
func (a *authority) Server(address string, begin, end time.Duration) *tls.Config {
	a.t.Helper()
	key := NewECKey(a.t)
	text := sign(a.t, &x509.Certificate{SerialNumber: big.NewInt(2), IPAddresses: []net.IP{net.ParseIP(address)},
		NotBefore: time.Now().Add(begin), NotAfter: time.Now().Add(end)}, a, key)
	pair, err := tls.X509KeyPair([]byte(text), []byte(KeyPEM(a.t, key)))
	if err != nil {
		a.t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}}
}

// Pool holds the authority alone, as the root that is trusted.
func (a *authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// KeyPEM is a key as it lies in a file.
func KeyPEM(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// NewSigningKey returns a minisign public key and its id.
func NewSigningKey(t *testing.T) (key, id string) {
	t.Helper()
	public, _, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return public.String(), fmt.Sprintf("%016X", public.ID())
}

// OnDevice is the kind on a device whose files lie in dir.
func OnDevice(dir string) certificate.Kind {
	return certificate.Kind{Cert: filepath.Join(dir, "link.pem"), Key: filepath.Join(dir, "link.key"),
		Pending: filepath.Join(dir, "pending.key"), Device: "gw-1"}
}

// Place puts files with these contents into a directory.
func Place(files map[string]string) func(dir string) error {
	return func(dir string) error {
		var errs []error
		for name, text := range files {
			errs = append(errs, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
		}
		return errors.Join(errs...)
	}
}
