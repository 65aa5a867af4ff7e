package main

import (
	"io"
	"net"
	"sync/atomic"
)

// A relay passes connections on to an address and counts the bytes in both
// directions: what the link carries, without the headers of TCP and IP.
type relay struct {
	net.Listener
	to    string
	bytes atomic.Int64
}

func startRelay(to string) (*relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{Listener: l, to: to}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go r.pass(c)
		}
	}()
	return r, nil
}

func (r *relay) pass(from net.Conn) {
	defer from.Close()
	to, err := net.Dial("tcp", r.to)
	if err != nil {
		return
	}
	defer to.Close()
	go func() { _, _ = io.Copy(io.MultiWriter(from, r), to) }()
	_, _ = io.Copy(io.MultiWriter(to, r), from)
}

// Write counts.
func (r *relay) Write(p []byte) (int, error) {
	r.bytes.Add(int64(len(p)))
	return len(p), nil
}
