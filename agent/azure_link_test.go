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

func TestATokenIsWhatAHubComputes(t *testing.T) {
	want := "SharedAccessSignature sr=fake.azure-devices.net%2Fdevices%2Fgw-1&sig=27mZ7LRPwNmalpDsR6umhxrTlcZAPxUHLESEvAb0rEw%3D&se=1764000000"
	if got := sasToken("fake.azure-devices.net/devices/gw-1", []byte("key"), time.Unix(1764000000, 0)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

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

func TestAnAzureLinkSaysWhatItMisses(t *testing.T) {
	base := Link{Dialect: "azure", Broker: "tls://hub.azure-devices.net:8883", Root: "ratchet/v1"}
	for _, c := range []struct {
		name string
		set  func(*Link)
		want string
	}{
		{"a key", func(l *Link) { l.SASKeyFile = "/k" }, ""},
		{"a certificate", func(l *Link) { l.Cert, l.Key = "/c", "/k" }, ""},
		{"neither", func(*Link) {}, "wants link.sasKeyFile, or link.cert"},
		{"both", func(l *Link) { l.SASKeyFile, l.Cert, l.Key = "/k", "/c", "/k" }, "wants link.sasKeyFile, or link.cert"},
		{"a user", func(l *Link) { l.SASKeyFile, l.Username = "/k", "me" }, "makes them itself"},
		{"a short life", func(l *Link) { l.SASKeyFile, l.TokenLife = "/k", Duration(time.Second) }, "link.tokenLife"},
		{"a key elsewhere", func(l *Link) { l.Dialect, l.SASKeyFile = "plain", "/k" }, "for the azure dialect"},
	} {
		l := base
		c.set(&l)
		got := ""
		if err := l.validate(); err != nil {
			got = err.Error()
		}
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	if l := (Link{Dialect: "azure", Broker: "wss://hub.azure-devices.net"}); l.address() != "wss://hub.azure-devices.net/$iothub/websocket" || l.hub() != "hub.azure-devices.net" {
		t.Errorf("got %s of %s", l.address(), l.hub())
	}
}
