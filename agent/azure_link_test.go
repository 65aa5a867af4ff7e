package agent

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/scripts/fakehub/hub"
)

// pairFor is a certificate for a device's name and for this machine, which
// vouches for itself, and its key; both also as PEM.
func pairFor(t *testing.T, name string) (pair tls.Certificate, cert, key []byte) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &secret.PublicKey, secret)
	raw, keyErr := x509.MarshalPKCS8PrivateKey(secret)
	if err := errors.Join(err, keyErr); err != nil {
		t.Fatal(err)
	}
	cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
	if pair, err = tls.X509KeyPair(cert, key); err != nil {
		t.Fatal(err)
	}
	return pair, cert, key
}

func TestAHubIsReachedByKeyAndCertificateAndOverWebsockets(t *testing.T) {
	for _, way := range []string{"tls key", "tls certificate", "wss key", "wss certificate"} {
		t.Run(way, func(t *testing.T) {
			pair, cert, key := pairFor(t, "gw-1")
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM(cert)
			c := newCloud(t, &hub.Hub{Web: "127.0.0.1:0", TLS: &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.VerifyClientCertIfGiven}})
			d := c.device("", "")
			d.write("gw-1.crt", string(cert))
			d.write("gw-1.key", string(key))
			scheme, proof, _ := strings.Cut(way, " ")
			address := map[string]string{"tls": "tls://" + c.Address(), "wss": "wss://" + c.Web}[scheme]
			text, err := os.ReadFile(filepath.Join(d.dir, "ratchet.toml"))
			if err != nil {
				t.Fatal(err)
			}
			config := strings.Replace(string(text), "tcp://"+c.Address(), address, 1)
			config = strings.Replace(config, "[link]\n", "[link]\nca = \"gw-1.crt\"\n", 1)
			if proof == "certificate" {
				c.AddDevice("gw-1", nil)
				config = strings.Replace(config, `sasKeyFile = "sas.key"`, "cert = \"gw-1.crt\"\nkey = \"gw-1.key\"", 1)
			}
			d.write("ratchet.toml", config)
			c.desireDoc("j", doc("j", d.dir+"/ran", "a"))
			d.start()
			c.await("j", executor.Succeeded)
		})
	}
}
