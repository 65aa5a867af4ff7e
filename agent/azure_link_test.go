package agent

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/scripts/authority"
	"github.com/ratchetd/ratchet/scripts/fakehub/hub"
)

// pairFor is a certificate for a device's name and for this machine, which
// vouches for itself, and its key; both also as PEM.
func pairFor(t *testing.T, name string) (pair tls.Certificate, cert, key []byte) {
	t.Helper()
	own, err := authority.Own(name, 90*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if pair, err = own.TLS(); err != nil {
		t.Fatal(err)
	}
	return pair, own.Cert, own.Key
}

func TestAHubIsReachedByKeyAndCertificateAndOverWebsockets(t *testing.T) {
	t.Parallel()
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
