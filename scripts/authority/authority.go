// Package authority makes certificates for tests and measurements: by an
// authority of its own, or signed by their own key. All are good for 127.0.0.1
// and localhost, from an hour ago on.
package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// A Pair is a certificate and its secret key, both as PEM.
type Pair struct{ Cert, Key []byte }

// Own is a pair that vouches for itself, until life has passed.
func Own(name string, life time.Duration) (Pair, error) {
	form := template(name, life)
	form.IsCA, form.BasicConstraintsValid, form.KeyUsage = true, true, x509.KeyUsageDigitalSignature|x509.KeyUsageCertSign
	pair, _, err := issue(form, form, nil)
	return pair, err
}

// Write makes an authority, and certificates by it for a broker and for a
// device of that name: ca, broker and device, each as .crt and .key below dir.
// They last a day.
func Write(dir, device string) error {
	const day = 24 * time.Hour
	form := template("test authority", day)
	form.IsCA, form.BasicConstraintsValid, form.KeyUsage = true, true, x509.KeyUsageCertSign
	ca, signer, err := issue(form, form, nil)
	if err == nil {
		err = ca.write(dir, "ca")
	}
	for file, name := range map[string]string{"broker": "127.0.0.1", "device": device} {
		var pair Pair
		if err == nil {
			pair, _, err = issue(template(name, day), form, signer)
		}
		if err == nil {
			err = pair.write(dir, file)
		}
	}
	return err
}

// Pool holds the certificates in a file, as those to trust.
func Pool(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: no certificate in it", file)
	}
	return pool, nil
}

// TLS is the pair as a program uses it.
func (p Pair) TLS() (tls.Certificate, error) { return tls.X509KeyPair(p.Cert, p.Key) }

func (p Pair) write(dir, name string) error {
	if err := os.WriteFile(filepath.Join(dir, name+".crt"), p.Cert, 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name+".key"), p.Key, 0o600)
}

func template(name string, life time.Duration) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(life),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames:     []string{"localhost"},
	}
}

// issue makes a key and its certificate. Without a signer it signs itself.
func issue(form, by *x509.Certificate, signer *ecdsa.PrivateKey) (Pair, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, nil, err
	}
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, form, by, &key.PublicKey, signer)
	if err != nil {
		return Pair{}, nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	return Pair{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}),
	}, key, err
}
