package diagnostic_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ratchetd/ratchet/executor/step/check"
	"github.com/ratchetd/ratchet/telemetry"
)

// names is a DNS server on this machine, which answers every question with
// 127.0.0.1.
func names(t *testing.T) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(answer(buf[:n]), from)
		}
	}()
	return conn.LocalAddr().String()
}

// answer is the header, the question, and for type A one answer that points to
// the question's name.
func answer(query []byte) []byte {
	end := 12
	for query[end] != 0 {
		end += 1 + int(query[end])
	}
	reply := slices.Clone(query[:end+5])
	copy(reply[2:12], []byte{0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0})
	if query[end+2] == 1 {
		reply[7] = 1
		reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1)
	}
	return reply
}

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
	if err := errors.Join(os.WriteFile(conf, []byte(l.Addr().String()), 0o600), os.WriteFile(mended, []byte(names(t)), 0o600)); err != nil {
		t.Fatal(err)
	}
	return conf, mended
}
