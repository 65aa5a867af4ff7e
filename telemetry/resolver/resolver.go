// Package resolver asks name servers as old ones want to be asked. Go sends an OPT record
// (EDNS0) with each question, and gives up where that is refused, which some routers and
// boxes of providers do. The question is then asked again without.
//
// It changes nothing else of how Go resolves names.
package resolver

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"time"
)

// New is a resolver that asks the servers of resolv.conf.
func New() *net.Resolver { return &net.Resolver{PreferGo: true, Dial: Dial} }

// Dial connects to a name server, for net.Resolver's field of that name.
func Dial(ctx context.Context, network, server string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, server)
	if err != nil {
		return nil, err
	}
	if udp, ok := conn.(*net.UDPConn); ok {
		return &packets{UDPConn: udp, server: server}, nil
	}
	return &stream{Conn: conn, server: server}, nil
}

// packets are questions and answers over UDP. The resolver knows by the type that each
// is a packet.
type packets struct {
	*net.UDPConn
	server string
	asked  []byte // with its OPT record; nil once it was asked without
	again  []byte // without it, where the first answer was a refusal
}

// Write sends a question, without the OPT record where the server is known to refuse it.
func (p *packets) Write(question []byte) (int, error) {
	p.asked = slices.Clone(question)
	if plain, ok := withoutOPT(question); ok && old.is(p.server) {
		p.asked = nil
		_, err := p.UDPConn.Write(plain)
		return len(question), err
	}
	return p.UDPConn.Write(question)
}

// Read gives the next answer. A refusal is not one as long as the question can be asked in
// another way, and a server that is silent is asked in that other way the next time.
func (p *packets) Read(answer []byte) (int, error) {
	n, err := p.UDPConn.Read(answer)
	if plain, ok := withoutOPT(p.asked); err == nil && ok && refuses(p.asked, answer[:n]) {
		p.asked, p.again = nil, plain
		if _, err := p.UDPConn.Write(plain); err != nil {
			return n, nil
		}
		n, err = p.UDPConn.Read(answer)
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		old.note(p.server, p.asked != nil)
	case err == nil && p.again != nil:
		old.note(p.server, !refuses(p.again, answer[:n]))
	}
	return n, err
}

// stream is a connection over TCP, which is made where an answer does not fit a packet.
type stream struct {
	net.Conn
	server string
}

// Write sends a question, which has its length in front.
func (s *stream) Write(question []byte) (int, error) {
	if len(question) > 2 && old.is(s.server) {
		if plain, ok := withoutOPT(question[2:]); ok {
			framed := binary.BigEndian.AppendUint16(nil, uint16(len(plain)))
			_, err := s.Conn.Write(append(framed, plain...))
			return len(question), err
		}
	}
	return s.Conn.Write(question)
}

const header = 12 // bytes of each message: id, flags, and four numbers of records

// withoutOPT is a question without the OPT record at its end, if it has one and nothing
// else besides.
func withoutOPT(question []byte) ([]byte, bool) {
	const size = 11 // of a record without data: the root's name, type 41, size, flags, length
	at := len(question) - size
	if at < header || !bytes.HasPrefix(question[at:], []byte{0, 0, 41}) || binary.BigEndian.Uint16(question[10:]) != 1 {
		return nil, false
	}
	plain := slices.Clone(question[:at])
	plain[11] = 0
	return plain, true
}

// refuses reports whether an answer to that question says that it cannot be answered in
// this form: a format error, a failure, not implemented or refused.
func refuses(question, answer []byte) bool {
	const isAnswer, code = 0x80, 0x0f
	return len(answer) >= header && bytes.Equal(answer[:2], question[:2]) && answer[2]&isAnswer != 0 &&
		slices.Contains([]byte{1, 2, 4, 5}, answer[3]&code)
}

// old are the servers that answer without an OPT record only, and since when.
var old servers

const (
	believed = 10 * time.Minute
	most     = 64 // servers
)

type servers struct {
	mu    sync.Mutex
	since map[string]time.Time
}

func (s *servers) is(server string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.since[server]
	return ok && time.Since(at) < believed
}

// note notes whether a server is to be asked without an OPT record.
func (s *servers) note(server string, plain bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !plain {
		delete(s.since, server)
		return
	}
	if s.since == nil || len(s.since) >= most {
		s.since = map[string]time.Time{}
	}
	s.since[server] = time.Now()
}
