package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/link/packet"
)

const (
	connectTimeout = 20 * time.Second
	answerTimeout  = 20 * time.Second
	// quietTime is how long no retained message must come before all are
	// taken to have come: MQTT 3.1.1 has no mark for the last one.
	quietTime = 300 * time.Millisecond
	// readQoS is 0 because with 1 a broker queues what is retained and drops
	// what its queue cannot hold: mosquitto gives 1,020 of 30,000 devices then,
	// and all of them with 0. What a busy broker drops even so comes with refresh.
	readQoS      = 0
	refreshEvery = 30 * time.Second
)

// message is one message from the broker.
type message struct {
	topic    dialect.Topic
	payload  []byte
	retained bool // it lay there before the subscription
}

// A client is a connection to the broker. It comes back by itself after a
// loss, with its subscriptions.
type client struct {
	mqtt paho.Client
	wire atomic.Pointer[packet.Conn] // of the newest connection
	root string
	lag  time.Duration // the longest time the broker took to answer
	lost chan error    // the connection broke; it is being made anew

	mu      sync.Mutex
	filters map[string]byte
	feed    chan message
	done    chan struct{}
}

// dial checks the options of the connection and opens it.
func (s *session) dial(ctx context.Context) (*client, error) {
	if err := s.link.validate(); err != nil {
		return nil, usageError{err}
	}
	return connect(ctx, s.link)
}

func connect(ctx context.Context, o linkOptions) (*client, error) {
	password, err := o.password()
	if err != nil {
		return nil, err
	}
	config, err := o.tls()
	if err != nil {
		return nil, err
	}
	c := &client{root: o.Root, filters: map[string]byte{}, lost: make(chan error, 1),
		feed: make(chan message, 1<<14), done: make(chan struct{})}
	c.mqtt = paho.NewClient(paho.NewClientOptions().AddBroker(o.Broker).
		SetClientID("ratchet-" + strings.ToLower(rand.Text()[:12])).SetCleanSession(true).
		SetUsername(o.Username).SetPassword(password).SetTLSConfig(config).
		SetConnectTimeout(connectTimeout).SetMaxReconnectInterval(10 * time.Second).
		SetDefaultPublishHandler(c.take).SetOnConnectHandler(c.resubscribe).
		SetConnectionLostHandler(c.noteLoss).
		SetCustomOpenConnectionFn(c.open))
	begun := time.Now()
	if err := c.wait(ctx, c.mqtt.Connect(), connectTimeout+time.Second); err != nil {
		c.close()
		return nil, fmt.Errorf("connecting to %s: %w", o.Broker, err)
	}
	c.lag = time.Since(begun)
	return c, nil
}

// wait waits for the broker's answer.
func (c *client) wait(ctx context.Context, t paho.Token, most time.Duration) error {
	select {
	case <-t.Done():
		return c.because(t.Error())
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(most):
		return fmt.Errorf("no answer within %v", most)
	}
}

func (c *client) close() {
	close(c.done)
	c.mqtt.Disconnect(250)
}

func (c *client) take(_ paho.Client, m paho.Message) {
	topic, ok := dialect.ParseTopic(c.root, m.Topic())
	if !ok {
		return
	}
	select {
	case c.feed <- message{topic, m.Payload(), m.Retained()}:
	case <-c.done:
	}
}

func (c *client) noteLoss(_ paho.Client, err error) {
	select {
	case c.lost <- err:
	default:
	}
}

// resubscribe is called after every connect; the broker keeps no session for us.
func (c *client) resubscribe(paho.Client) { c.refresh() }

// refresh subscribes anew to everything, so that all that is retained comes
// again. It does not wait for it.
func (c *client) refresh() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.filters) > 0 {
		c.mqtt.SubscribeMultiple(c.filters, nil)
	}
}

// publish sends a retained message and waits until the broker has taken it.
func (c *client) publish(ctx context.Context, to dialect.Topic, payload []byte) error {
	topic := to.Below(c.root)
	if err := c.wait(ctx, c.mqtt.Publish(topic, 1, true, payload), answerTimeout); err != nil {
		return fmt.Errorf("publishing to %s: %w", topic, err)
	}
	return nil
}

// subscribe lets the messages for the filters come into the feed.
func (c *client) subscribe(ctx context.Context, filters ...string) error {
	asked := map[string]byte{}
	c.mu.Lock()
	for _, f := range filters {
		asked[f], c.filters[f] = readQoS, readQoS
	}
	c.mu.Unlock()
	begun := time.Now()
	token := c.mqtt.SubscribeMultiple(asked, nil)
	if err := c.wait(ctx, token, answerTimeout); err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	c.lag = max(c.lag, time.Since(begun))
	return refused(token)
}

// refused looks for filters that the broker's access rules keep from us.
func refused(t paho.Token) error {
	sub, ok := t.(*paho.SubscribeToken)
	if !ok {
		return nil
	}
	for filter, granted := range sub.Result() {
		if granted > 2 { // 0x80 says no; some brokers use the codes of MQTT 5
			return fmt.Errorf("the broker refuses to let this user read %s: ask for read access to it", filter)
		}
	}
	return nil
}

// settle subscribes to the filters and gives what is retained there to take. It
// returns when all has come; what comes later waits in the feed.
func (c *client) settle(ctx context.Context, take func(message), filters ...string) error {
	if err := c.subscribe(ctx, filters...); err != nil {
		return err
	}
	span := quietTime + 2*c.lag
	quiet := time.NewTimer(span)
	defer quiet.Stop()
	for {
		select {
		case m := <-c.feed:
			take(m)
			if m.retained {
				quiet.Reset(span)
			}
		case <-quiet.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
