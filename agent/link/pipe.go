package link

import (
	"fmt"
	"io"
	"net"
	"net/url"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// Pipe makes a session over a connection that stands, without a word to the
// Handler, and returns what ends it. It is for tests of who speaks on a session.
func (l *Link) Pipe(to net.Conn) (end func(), err error) {
	n := newConn()
	o := mqtt.NewClientOptions().AddBroker("tcp://192.0.2.1:1").SetProtocolVersion(4).SetAutoReconnect(false).SetCleanSession(false).
		SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return to, nil }).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { n.fail(err) })
	n.client = mqtt.NewClient(o)
	if token := n.client.Connect(); token.Wait() && token.Error() != nil {
		return nil, fmt.Errorf("connecting over a pipe: %w", token.Error())
	}
	s := newSession(l)
	s.conn, s.inbox = n, nil // nothing comes
	l.up(s)
	return func() {
		l.down(io.EOF)
		n.close()
	}, nil
}
