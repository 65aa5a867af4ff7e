package agent

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/ratchetd/ratchet/agent/dialect"
)

// maxPacket bounds an MQTT packet: a payload of the greatest length that is
// looked at, and its topic. paho allocates whatever length a packet names, up
// to 256 MB, so one retained message could take every device down, for ever.
const maxPacket = dialect.MaxPayload + 64<<10

// open connects to the broker, so that no packet is read that is too long.
func open(uri *url.URL, o mqtt.ClientOptions) (net.Conn, error) {
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
	return &boundedConn{Conn: conn}, nil
}

// A boundedConn follows the packets that it passes on: a fixed header of one
// byte and a length of one to four, then so many bytes.
type boundedConn struct {
	net.Conn
	left  int  // bytes of the packet under way that are still to come
	begun bool // a header is under way, with size up to here
	size  int
	shift int
}

var errTooLong = errors.New("the broker sends a message that is too long: clear that retained message")

func (c *boundedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	for b := p[:n]; len(b) > 0; {
		if c.left > 0 {
			skip := min(c.left, len(b))
			c.left, b = c.left-skip, b[skip:]
			continue
		}
		if tooLong := c.header(b[0]); tooLong != nil {
			return 0, tooLong
		}
		b = b[1:]
	}
	return n, err
}

// header takes one byte of a fixed header.
func (c *boundedConn) header(b byte) error {
	if !c.begun {
		c.begun, c.size, c.shift = true, 0, 0
		return nil
	}
	c.size |= int(b&0x7f) << c.shift
	c.shift += 7
	switch {
	case c.size > maxPacket || c.shift > 28:
		return fmt.Errorf("%w (%d bytes, at most %d are taken)", errTooLong, c.size, maxPacket)
	case b&0x80 == 0:
		c.left, c.begun = c.size, false
	}
	return nil
}
