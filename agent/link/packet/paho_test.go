package packet_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/gorilla/websocket"

	"github.com/ratchetd/ratchet/agent/link/packet"
	"github.com/ratchetd/ratchet/agent/link/packet/packettest"
	ratchetsocket "github.com/ratchetd/ratchet/agent/link/websocket"
)

const maxPayload = 256 << 10

// guarded is a client whose connections are guarded; its errors come by lost.
func guarded(broker string, lost chan<- error) mqtt.Client {
	o := mqtt.NewClientOptions().AddBroker(broker).SetClientID("t").SetProtocolVersion(4).SetCleanSession(false).
		SetAutoReconnect(false).SetConnectRetry(false)
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost <- err })
	o.SetCustomOpenConnectionFn(func(to *url.URL, _ mqtt.ClientOptions) (conn net.Conn, err error) {
		if to.Scheme == "ws" {
			conn, err = ratchetsocket.Dial(context.Background(), to.String(), nil)
		} else {
			conn, err = net.Dial("tcp", to.Host)
		}
		if err != nil {
			return nil, err
		}
		return packet.Guard(conn, maxPayload), nil
	})
	return mqtt.NewClient(o)
}

// talk connects, subscribes and publishes, until one of them fails or the
// connection is lost, and returns why.
func talk(t *testing.T, c mqtt.Client, lost <-chan error) error {
	t.Helper()
	steps := []func() mqtt.Token{
		c.Connect,
		func() mqtt.Token { return c.SubscribeMultiple(map[string]byte{"a": 1, "b": 0}, nil) },
		func() mqtt.Token { return c.Publish("a", 1, true, "x") },
	}
	for _, step := range steps {
		token := step()
		select {
		case <-token.Done():
			if v := new(packet.Violation); errors.As(token.Error(), &v) {
				return v
			}
		case err := <-lost:
			return err
		case <-time.After(time.Minute):
			t.Fatal("neither an answer nor an error came")
		}
	}
	select {
	case err := <-lost:
		return err
	case <-time.After(time.Minute):
		t.Fatal("the connection was not lost")
	}
	return nil
}

// Whatever a broker sends, the library lives on, and the connection ends with
// an error that says what it was and what to do.
func TestNoPacketOfABrokerEndsTheProcess(t *testing.T) {
	for _, attack := range packettest.Attacks {
		t.Run(attack.Name, func(t *testing.T) {
			t.Parallel()
			lost := make(chan error, 1)
			c := guarded("tcp://"+(&packettest.Broker{Answer: attack.Answer}).Serve(t), lost)
			defer c.Disconnect(0)
			err := talk(t, c, lost)
			if v := new(packet.Violation); !errors.As(err, &v) || !strings.Contains(err.Error(), attack.Want) {
				t.Errorf("got %v, want %q", err, attack.Want)
			}
			if text := err.Error(); !strings.Contains(text, "update") && !strings.Contains(text, "check") && !strings.Contains(text, "clear") {
				t.Errorf("%q does not say what to do", text)
			}
		})
	}
}

// A crumbled connection is a websocket, each byte of which is a frame.
type crumbled struct {
	*websocket.Conn
	frame io.Reader
}

func (c *crumbled) Read(p []byte) (int, error) {
	for {
		if c.frame == nil {
			var err error
			if _, c.frame, err = c.NextReader(); err != nil {
				return 0, err
			}
		}
		n, err := c.frame.Read(p)
		if err != io.EOF {
			return n, err
		}
		c.frame = nil
	}
}

func (c *crumbled) Write(p []byte) (int, error) {
	for i := range p {
		if err := c.WriteMessage(websocket.BinaryMessage, p[i:i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

// serveWebsocket serves a broker over crumbled connections, and returns its URL.
func serveWebsocket(t *testing.T, b *packettest.Broker) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		up := websocket.Upgrader{Subprotocols: []string{"mqtt"}}
		if conn, err := up.Upgrade(w, r, nil); err == nil {
			b.Talk(&crumbled{Conn: conn})
		}
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

// A frame of a websocket is no packet: what comes in crumbs is read, and
// checked, as well.
func TestPacketsInCrumbsOverAWebsocket(t *testing.T) {
	payload := strings.Repeat("x", 2000)
	good := packettest.Broker{Answer: func(p packets.ControlPacket) ([]byte, bool) {
		message, ok := p.(*packets.PublishPacket)
		return append(packettest.Answer(p), packettest.Raw(p)...), ok && message.Qos > 0
	}}
	got := make(chan string, 1)
	c := guarded(serveWebsocket(t, &good), make(chan error, 1))
	defer c.Disconnect(0)
	c.AddRoute("a", func(_ mqtt.Client, m mqtt.Message) { got <- string(m.Payload()) })
	for _, step := range []func() mqtt.Token{
		c.Connect,
		func() mqtt.Token { return c.Subscribe("a", 1, nil) },
		func() mqtt.Token { return c.Publish("a", 1, false, payload) },
	} {
		if token := step(); !token.WaitTimeout(time.Minute) || token.Error() != nil {
			t.Fatal(token.Error())
		}
	}
	if text := <-got; text != payload {
		t.Errorf("got %d bytes", len(text))
	}

	surplus := slices.IndexFunc(packettest.Attacks, func(a packettest.Attack) bool { return a.Name == "SUBACK with a surplus code" })
	lost := make(chan error, 1)
	c = guarded(serveWebsocket(t, &packettest.Broker{Answer: packettest.Attacks[surplus].Answer}), lost)
	defer c.Disconnect(0)
	if err := talk(t, c, lost); !strings.Contains(err.Error(), "3 codes (topics asked for: 2)") {
		t.Errorf("got %v", err)
	}
}
