// Package websocket opens a connection that carries MQTT in a WebSocket. What
// it brings is a stream of bytes: a frame is no packet.
//
// The MQTT library has such a connection too, but lets a server send a header
// without an end, which is read into memory.
package websocket

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// maxHandshake bounds what a server may send before the first frame, the
// handshake of TLS included.
const maxHandshake = 256 << 10

var errEndless = errors.New("the broker's answer to the WebSocket request does not end: check what listens at its host and port")

// ErrRefused is of a server that answers 401 or 403.
var ErrRefused = errors.New("it refuses who asks")

// Dial connects to a ws:// or wss:// URL, by the proxy that the environment
// names, and returns once the server speaks WebSocket. config is for wss.
func Dial(ctx context.Context, url string, config *tls.Config) (net.Conn, error) {
	var raw *bounded
	dialer := websocket.Dialer{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, Subprotocols: []string{"mqtt"},
		NetDialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			raw = &bounded{Conn: conn, left: maxHandshake}
			return raw, nil
		},
	}
	ws, answer, err := dialer.DialContext(ctx, url, nil)
	switch {
	case raw != nil && raw.left <= 0:
		if err == nil {
			ws.Close()
		}
		return nil, errEndless
	case err != nil && answer != nil && (answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden):
		return nil, fmt.Errorf("the broker answers %s to a request for a WebSocket: %w", answer.Status, ErrRefused)
	case err != nil && answer != nil:
		return nil, fmt.Errorf("the broker answers %s to a request for a WebSocket: check the path, and that it listens for them there", answer.Status)
	case err != nil:
		return nil, err
	}
	raw.open = true
	return &conn{Conn: ws}, nil
}

// A bounded connection brings so many bytes until it is open.
type bounded struct {
	net.Conn
	left int
	open bool
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.open {
		return b.Conn.Read(p)
	}
	if b.left <= 0 {
		return 0, errEndless
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// A conn is the stream of what the frames hold. One goroutine may read.
type conn struct {
	*websocket.Conn
	frame   io.Reader
	writing sync.Mutex
}

func (c *conn) Read(p []byte) (int, error) {
	for {
		if c.frame == nil {
			kind, frame, err := c.NextReader()
			if err != nil {
				return 0, err
			}
			if kind != websocket.BinaryMessage {
				return 0, errors.New("the broker sends MQTT in text frames, which it may not: update it")
			}
			c.frame = frame
		}
		n, err := c.frame.Read(p)
		if err == io.EOF {
			c.frame, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// Write sends p in one frame.
func (c *conn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// SetDeadline is for reads and writes.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}
