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
	return serve(t, reply)
}

func serve(t *testing.T, answer func(query []byte) []byte) string {
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
			if said := answer(buf[:n]); said != nil {
				_, _ = conn.WriteTo(said, from)
			}
		}
	}()
	return conn.LocalAddr().String()
}

// ServeDead is Serve of a name that has another address too, one of IPv6 that leads
// nowhere.
func ServeDead(t *testing.T) string {
	t.Helper()
	return serve(t, func(query []byte) []byte {
		said := reply(query)
		if said[len(said)-3] == 28 && said[7] == 0 { // the question's type is AAAA
			said[7] = 1
			said = append(said, 0xc0, 12, 0, 28, 0, 1, 0, 0, 0, 60, 0, 16, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1) // 100::1
		}
		return said
	})
}

// Silence is a way of ServeOld.
const Silence = 0xff

// ServeOld is Serve as boxes do that know no EDNS0: a question with an OPT record is
// answered with this code and nothing else, or with Silence not at all.
func ServeOld(t *testing.T, code byte) string {
	t.Helper()
	return serve(t, func(query []byte) []byte {
		switch {
		case query[11] == 0: // no additional record
			return reply(query)
		case code == Silence:
			return nil
		}
		return []byte{query[0], query[1], 0x81, 0x80 | code, 0, 0, 0, 0, 0, 0, 0, 0}
	})
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
