package link

import (
	"context"
	"crypto/tls"
	"net"
	"net/url"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/link/packet"
	"github.com/ratchetd/ratchet/agent/link/websocket"
)

// open connects to the broker, so that only legal packets are read.
func open(uri *url.URL, o mqtt.ClientOptions) (*packet.Conn, error) {
	dialer := &net.Dialer{Timeout: connectTimeout}
	var conn net.Conn
	var err error
	switch uri.Scheme {
	case "tcp":
		conn, err = dialer.Dial("tcp", uri.Host)
	case "tls":
		conn, err = tls.DialWithDialer(dialer, "tcp", uri.Host, o.TLSConfig)
	default:
		ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
		defer cancel()
		conn, err = websocket.Dial(ctx, uri.String(), o.TLSConfig)
	}
	if err != nil {
		return nil, err
	}
	return packet.Guard(conn, dialect.MaxPayload), nil
}
