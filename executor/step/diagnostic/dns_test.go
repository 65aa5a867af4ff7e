package diagnostic_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/ratchetd/ratchet/executor/step/check"
	"github.com/ratchetd/ratchet/telemetry"
	"github.com/ratchetd/ratchet/telemetry/dnstest"
)

// asking is a Checker whose name server is the one that a file names.
func asking(conf string) check.Checker {
	return check.Checker{Probes: telemetry.Prober{Resolver: &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			server, err := os.ReadFile(conf)
			if err != nil {
				return nil, err
			}
			return new(net.Dialer).DialContext(ctx, network, string(server))
		},
	}}}
}

// brokenDNS is a file that names a closed port, and one that names a server.
func brokenDNS(t *testing.T) (conf, mended string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	conf, mended = filepath.Join(t.TempDir(), "resolv"), filepath.Join(t.TempDir(), "mended")
	if err := errors.Join(os.WriteFile(conf, []byte(l.Addr().String()), 0o600), os.WriteFile(mended, []byte(dnstest.Serve(t)), 0o600)); err != nil {
		t.Fatal(err)
	}
	return conf, mended
}
