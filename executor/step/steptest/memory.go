package steptest

import (
	"context"
	"net"
)

// Memory is a listener whose connections never leave the process, so that time
// in a test's bubble can pass while they are idle.
type Memory chan net.Conn

// Accept implements net.Listener.
func (m Memory) Accept() (net.Conn, error) {
	c, ok := <-m
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

// Close implements net.Listener.
func (m Memory) Close() error { close(m); return nil }

// Addr implements net.Listener.
func (m Memory) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

// Dial connects to whoever accepts, for http.Transport.
func (m Memory) Dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	m <- there
	return here, nil
}
