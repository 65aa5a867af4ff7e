package link

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"golang.org/x/sync/semaphore"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/link/packet"
	"github.com/ratchetd/ratchet/agent/link/websocket"
	"github.com/ratchetd/ratchet/executor/fence"
)

const (
	connectTimeout = 30 * time.Second
	replyTimeout   = 30 * time.Second // for the broker's answer to a subscribe or publish

	// maxWaiting is how many bytes of messages may wait to be decided. The
	// broker waits then, too. The longest message fits.
	maxWaiting = 1 << 20
)

// A conn is one connection to the broker. It is never reused: only the reply to
// Connect reports whether the broker had kept the session, and paho hands that
// out once for each client.
type conn struct {
	client  mqtt.Client
	wire    *packet.Conn
	lost    chan error    // gets one error when the connection breaks
	gone    chan struct{} // closed when it is of no more use: no answer comes any more
	ending  sync.Once
	refused *refusals           // what the broker does not take; nil: nobody minds
	turns   *semaphore.Weighted // what is on its way, or all of it for one that goes alone
	mu      sync.Mutex
	flying  map[*dialect.Message]bool // sent and not acknowledged
	acked   time.Time                 // when the broker last acknowledged something
	why     error                     // the first reason to end
	resumed bool                      // the broker had the session
	renew   time.Duration             // after so long it is made again, with a new password; 0: never
}

// An inbound is a message that waits to be decided and then acknowledged.
type inbound struct {
	dialect.Message
	ack func()
}

// An opening is what a device says of itself when it connects.
type opening struct {
	will  *dialect.Message // what the broker says for it when it vanished; nil for none
	clean bool             // the broker is to keep nothing of the sessions before
}

// dial connects. Messages go to inbox, in order and unacknowledged, also those
// that a resumed session brings before dial returns.
func dial(ctx context.Context, c *config.Config, as opening, now func() time.Time, inbox chan<- inbound) (*conn, error) {
	o, renew, err := clientOptions(c, as, now)
	if err != nil {
		return nil, err
	}
	n := newConn()
	n.renew = renew
	waiting := semaphore.NewWeighted(maxWaiting)
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
		in := inbound{Message: dialect.Message{Topic: m.Topic(), Payload: m.Payload(), Retain: m.Retained()}}
		size := int64(len(in.Topic) + len(in.Payload))
		if waiting.Acquire(ctx, size) != nil {
			return
		}
		in.ack = func() {
			m.Ack()
			waiting.Release(size)
		}
		select {
		case inbox <- in:
		case <-ctx.Done():
		}
	})
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { n.fail(err) })
	var keep func() bool
	o.SetCustomOpenConnectionFn(func(to *url.URL, o mqtt.ClientOptions) (net.Conn, error) {
		var raw *packet.Conn
		err := fence.Call(func() (err error) { raw, err = open(to, o); return err })
		if err != nil {
			return nil, err
		}
		n.wire = raw // one that is given up must not come to life later, and take over its successor
		keep = context.AfterFunc(ctx, func() { raw.Close() })
		return raw, nil
	})
	n.client = mqtt.NewClient(o)
	token := n.client.Connect().(*mqtt.ConnectToken)
	select {
	case <-token.Done():
	case <-ctx.Done():
		n.client.Disconnect(0)
		return nil, context.Cause(ctx)
	}
	if err := token.Error(); err != nil {
		return nil, explainConnect(c, n.because(err), now())
	}
	if !keep() {
		return nil, context.Cause(ctx)
	}
	n.resumed = token.SessionPresent()
	return n, nil
}

func clientOptions(c *config.Config, as opening, now func() time.Time) (o *mqtt.ClientOptions, renew time.Duration, err error) {
	if err := c.Link.Usable(); err != nil {
		return nil, 0, err
	}
	o = mqtt.NewClientOptions().AddBroker(c.Address()).SetClientID(c.Device).
		SetProtocolVersion(4).SetCleanSession(as.clean).SetKeepAlive(cmp.Or(time.Duration(c.Link.KeepAlive), time.Minute)).
		SetConnectTimeout(connectTimeout).SetWriteTimeout(replyTimeout).
		SetAutoReconnect(false).SetConnectRetry(false).SetAutoAckDisabled(true).SetOrderMatters(true)
	if will := as.will; will != nil {
		o.SetBinaryWill(will.Topic, will.Payload, 1, will.Retain)
	}
	conf, err := c.TLS(now)
	if err != nil {
		return nil, 0, err
	}
	o.SetTLSConfig(conf)
	l, err := c.Login(now())
	if err != nil {
		return nil, 0, err
	}
	return o.SetUsername(l.Username).SetPassword(l.Password), l.Renew, nil
}

// unauthorized are codes of a CONNACK that refuse who connects and that MQTT
// 3.1.1 does not have: 7 is AWS IoT's, the others are those of MQTT 5 for a bad
// user name or password, no authorization, and a client that is banned.
var unauthorized = []byte{7, 0x86, 0x87, 0x8a}

// explainConnect says what to do about the refusals that a configuration can mend.
func explainConnect(c *config.Config, err error, now time.Time) error {
	text, v := err.Error(), new(packet.Violation)
	refused := strings.Contains(text, "not Authorized") || strings.Contains(text, "bad user name") ||
		errors.As(err, &v) && slices.Contains(unauthorized, v.Refused) || errors.Is(err, websocket.ErrRefused)
	hungUp := errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)
	switch {
	case refused, hungUp && c.Dialect().Connection().Service: // a service that refuses a device often says nothing
		return c.ExplainRefused(err, now)
	case strings.Contains(text, "identifier rejected"):
		return fmt.Errorf("the broker refuses the client id %s, or it allows only a shorter keep-alive than %s (mosquitto: max_keepalive) and says so in the same words: try a lower link.keepAlive: %w",
			c.Device, time.Duration(c.Link.KeepAlive), err)
	case strings.Contains(text, "certificate signed by unknown authority"):
		return fmt.Errorf("link.ca does not vouch for this broker: %w", err)
	}
	return err
}

// subscribe asks for all filters and returns when the broker has answered:
// which of them it denies. What it denies is asked for once more, since some
// brokers deny a subscription whose packet id a message of theirs has just now.
func (n *conn) subscribe(ctx context.Context, filters []string, qos byte) (denied []string, err error) {
	denied, err = n.subscribeOnce(ctx, filters, qos)
	if err != nil || len(denied) == 0 {
		return nil, err
	}
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	return n.subscribeOnce(ctx, denied, qos)
}

func (n *conn) subscribeOnce(ctx context.Context, filters []string, qos byte) (denied []string, err error) {
	for chunk := range slices.Chunk(filters, 8) {
		ask := map[string]byte{}
		for _, f := range chunk {
			ask[f] = qos
		}
		token := n.client.SubscribeMultiple(ask, nil)
		if err := n.answered(ctx, token); err != nil {
			return nil, fmt.Errorf("subscribing: %w", err)
		}
		granted := token.(*mqtt.SubscribeToken).Result()
		for _, f := range chunk {
			if granted[f] > 2 {
				denied = append(denied, f)
			}
		}
	}
	return denied, nil
}

func (n *conn) unsubscribe(ctx context.Context, filters []string) error {
	if len(filters) == 0 {
		return nil
	}
	return n.answered(ctx, n.client.Unsubscribe(filters...))
}

// fail says that the connection is of no more use; the first reason counts.
func (n *conn) fail(err error) {
	n.mu.Lock()
	n.why = cmp.Or(n.why, err)
	n.mu.Unlock()
	select {
	case n.lost <- err:
	default:
	}
	n.ending.Do(func() { close(n.gone) })
}

// close ends the connection cleanly; the broker does not send the will.
func (n *conn) close() {
	n.client.Disconnect(250)
	n.ending.Do(func() { close(n.gone) })
}

// because returns what the broker did where that ended the connection, which
// the library only says was lost, and err otherwise.
func (n *conn) because(err error) error {
	if err == nil || n.wire == nil {
		return err
	}
	return cmp.Or(n.wire.Err(), err)
}

var errBroke = errors.New("the connection broke before the broker had answered")

// answered waits for the broker's answer. Of a connection that broke paho waits
// for one forever: the session is kept.
func (n *conn) answered(ctx context.Context, t mqtt.Token) error {
	if t == nil {
		return n.because(errBroke)
	}
	select {
	case <-t.Done():
		return n.because(t.Error())
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-n.gone:
		return n.because(errBroke)
	case <-time.After(replyTimeout):
		return errors.New("the broker does not answer")
	}
}
