package agent

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ratchetd/ratchet/scripts/fakeaws/jobs"
)

// TestAWSIsReachedOnBothPortsAndByBothProofs holds what AWS asks of TLS: a
// server name always, and on port 443 a protocol too.
func TestAWSIsReachedOnBothPortsAndByBothProofs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		listen, link, protocol string
	}{
		"certificate":                {"127.0.0.1:0", "cert = \"gw-1.crt\"\nkey = \"gw-1.key\"", ""},
		"certificate on 443":         {"127.0.0.1:443", "cert = \"gw-1.crt\"\nkey = \"gw-1.key\"", "x-amzn-mqtt-ca"},
		"custom authorizer on 443":   {"127.0.0.1:443", "username = \"me\"\npasswordFile = \"password\"", "mqtt"},
		"custom authorizer on other": {"127.0.0.1:0", "username = \"me\"\npasswordFile = \"password\"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", c.listen)
			if err != nil {
				t.Skipf("this system does not let us listen there: %v", err)
			}
			l.Close()
			pair, cert, key := pairFor(t, "gw-1")
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM(cert)
			var mu sync.Mutex
			var hello tls.ClientHelloInfo
			s := &jobs.Service{Listen: c.listen, TLS: &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool,
				ClientAuth: tls.VerifyClientCertIfGiven, NextProtos: jobs.Protocols,
				GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
					mu.Lock()
					defer mu.Unlock()
					hello = *h
					return nil, nil
				}}}
			if strings.Contains(c.link, "password") {
				s.Authorize = func(user, password string) bool { return user == "me" && password == "secret" }
			}
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			d := &device{t: t, dir: t.TempDir()}
			_, port, _ := net.SplitHostPort(s.Address())
			for file, text := range map[string]string{"gw-1.crt": string(cert), "gw-1.key": string(key), "password": "secret\n",
				"ratchet.toml": fmt.Sprintf("device = \"gw-1\"\nstate = %q\n[link]\ndialect = \"aws\"\nbroker = \"tls://localhost:%s\"\nspread = \"0s\"\nca = \"gw-1.crt\"\n%s\n", filepath.Join(d.dir, "state"), port, c.link)} {
				d.write(file, text)
			}
			d.start()
			create(t, s, "job", `{"steps":[{"name":"a","command":{"argv":["true"]}}]}`)
			if e := ends(t, s, "job"); e.Status != "SUCCEEDED" {
				t.Errorf("got %s, want SUCCEEDED", e.Status)
			}
			d.stop()
			mu.Lock()
			defer mu.Unlock()
			if got := strings.Join(hello.SupportedProtos, " "); got != c.protocol || hello.ServerName != "localhost" {
				t.Errorf("got the protocols %q and the name %q, want %q and localhost", got, hello.ServerName, c.protocol)
			}
			if drops := s.Drops(); len(drops) > 0 {
				t.Errorf("got the connection ended for %q", drops)
			}
		})
	}
}
