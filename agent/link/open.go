package link

import (
	"crypto/tls"
	"net"
	"net/url"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/link/packet"
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
		conn, err = mqtt.NewWebsocket(uri.String(), o.TLSConfig, connectTimeout, o.HTTPHeaders, o.WebsocketOptions)
	}
	if err != nil {
		return nil, err
	}
	return packet.Guard(conn, dialect.MaxPayload), nil
}
