package link

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"net/url"

	paho "github.com/eclipse/paho.mqtt.golang"
	"golang.org/x/net/proxy"

	"github.com/ratchetd/ratchet/agent/link/packet"
	"github.com/ratchetd/ratchet/agent/link/websocket"
)

// maxTaken is how long a message may be that does not end the connection. What is
// longer than its topic allows is left out and named: one device that left a message
// of 1 MB kept every list from being read, and itself from being forgotten.
const maxTaken = 16 << 20

// open connects to the broker, by the proxy that the environment names, so that
// only legal packets are read.
func (c *Client) open(to *url.URL, o paho.ClientOptions) (net.Conn, error) {
	conn, err := openConn(to, o)
	if err != nil {
		return nil, err
	}
	guarded := packet.Guard(readAhead(conn), maxTaken)
	if before := c.wire.Swap(guarded); before != nil && before.Err() != nil {
		c.broke.Store(before)
	}
	return guarded, nil
}

func openConn(to *url.URL, o paho.ClientOptions) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	if to.Scheme == "ws" || to.Scheme == "wss" {
		return websocket.Dial(ctx, to.String(), o.TLSConfig)
	}
	conn, err := proxy.Dial(ctx, "tcp", to.Host)
	if err != nil || to.Scheme != "tls" {
		return conn, err
	}
	config := o.TLSConfig.Clone()
	config.ServerName = to.Hostname()
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

// violation is what the broker did to end this connection, or one before it
// since the last subscription; or nil.
func (c *Client) violation() error {
	for _, of := range []*packet.Conn{c.wire.Load(), c.broke.Load()} {
		if of != nil && of.Err() != nil {
			return of.Err()
		}
	}
	return nil
}

// because returns what the broker did where that ended the connection, which
// the library only says was lost, and err otherwise.
func (c *Client) because(err error) error {
	if err == nil {
		return nil
	}
	return cmp.Or(c.violation(), err)
}
