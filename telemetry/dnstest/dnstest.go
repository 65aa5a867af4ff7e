// Package dnstest is a name server for tests.
package dnstest

import (
	"net"
	"slices"
	"testing"
)

// Serve answers every question for an A record with 127.0.0.1, and all others
// with nothing, until the test ends. It returns its address.
func Serve(t *testing.T) string {
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
			_, _ = conn.WriteTo(reply(buf[:n]), from)
		}
	}()
	return conn.LocalAddr().String()
}

// reply is the header, the question, and for type A one answer that points to
// the question's name.
func reply(query []byte) []byte {
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
