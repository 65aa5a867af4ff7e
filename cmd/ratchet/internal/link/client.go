// Package link is the tool's connection to the broker: it reads what is retained
// and publishes. It does not judge what the messages say.
package link

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
	"github.com/ratchetd/ratchet/executor/fence"
)

const (
	connectTimeout = 20 * time.Second
	answerTimeout  = 20 * time.Second
	// quietTime is how long no retained message must come before all are
	// taken to have come: MQTT 3.1.1 has no mark for the last one.
	quietTime = 300 * time.Millisecond
	// lostAnswer is how long nothing must come behind messages before the answer to
	// a subscription is taken for lost: mosquitto drops it with what it drops.
	lostAnswer = 3 * time.Second
	// readQoS is 0 because with 1 a broker queues what is retained and drops
	// what its queue cannot hold: mosquitto gives 1,020 of 30,000 devices then,
	// and all of them with 0. What a busy broker drops even so comes with Refresh.
	readQoS = 0
	// readLimit is how long what is retained may take to come. A million devices
	// take some minutes; a broker that goes on and on would be read for ever.
	readLimit = 15 * time.Minute
	// maxFacts is twice what an agent sends of itself, in bytes.
	maxFacts = 128 << 10
	// MaxRollout is the longest rollout that is read, in bytes.
	MaxRollout = 64 << 10
)

// A Message is one message from the broker.
type Message struct {
	Topic    dialect.Topic
	Payload  []byte
	Retained bool // it lay there before the subscription
	TooLong  bool // for its topic; the payload is left out

	ack func()
}

// Ack tells the broker that the message is dealt with, where that is awaited: it
// came by Resume.
func (m Message) Ack() {
	if m.ack != nil {
		m.ack()
	}
}

// A Client is a connection to the broker. It comes back by itself after a
// loss, with its subscriptions.
type Client struct {
	mqtt paho.Client
	wire atomic.Pointer[packet.Conn] // of the newest connection
	// broke is the last one that a violation ended.
	broke   atomic.Pointer[packet.Conn]
	options Options
	root    string
	lag     time.Duration // the longest time the broker took to answer
	limit   time.Duration // of one reading
	lost    chan error
	again   atomic.Bool // this is not the first connection

	mu      sync.Mutex
	filters map[string]byte
	feed    *feed
	done    chan struct{}
}

// Connect opens a connection. The options must be valid.
func Connect(ctx context.Context, o Options) (*Client, error) {
	c := newClient(o)
	settings, err := c.settings(o)
	if err != nil {
		return nil, err
	}
	settings.SetClientID("ratchet-" + strings.ToLower(rand.Text()[:12])).SetCleanSession(true).
		SetMaxReconnectInterval(10 * time.Second).SetOnConnectHandler(c.resubscribe)
	if _, err = c.connect(ctx, o, settings); err != nil {
		return nil, err
	}
	return c, nil
}

// settings are what all connections have in common.
func (c *Client) settings(o Options) (*paho.ClientOptions, error) {
	password, err := o.password()
	if err != nil {
		return nil, err
	}
	config, err := o.tls()
	if err != nil {
		return nil, err
	}
	return paho.NewClientOptions().AddBroker(o.Broker).
		SetUsername(o.Username).SetPassword(password).SetTLSConfig(config).
		SetConnectTimeout(connectTimeout).SetDefaultPublishHandler(c.receive).
		SetConnectionLostHandler(c.onLoss).SetCustomOpenConnectionFn(c.open), nil
}

func newClient(o Options) *Client {
	c := &Client{options: o, root: o.Root, limit: readLimit, filters: map[string]byte{}, lost: make(chan error, 1),
		done: make(chan struct{})}
	c.feed = newFeed(c.done)
	return c
}

// connect opens the connection, or closes the client. It reports whether the
// broker has kept a session.
func (c *Client) connect(ctx context.Context, o Options, settings *paho.ClientOptions) (bool, error) {
	c.mqtt = paho.NewClient(settings)
	begun := time.Now()
	token := c.mqtt.Connect()
	if err := c.wait(ctx, token, connectTimeout+time.Second); err != nil {
		c.Close()
		return false, fmt.Errorf("connecting to %s: %w%s", o.Broker, err, o.hint(err))
	}
	c.lag = time.Since(begun)
	t, ok := token.(*paho.ConnectToken)
	return ok && t.SessionPresent(), nil
}

// wait waits for the broker's answer.
func (c *Client) wait(ctx context.Context, t paho.Token, most time.Duration) error {
	select {
	case <-t.Done():
		return c.because(t.Error())
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(most):
		return fmt.Errorf("no answer within %v", most)
	}
}

// Root is the topic under which everything lies.
func (c *Client) Root() string { return c.root }

// Feed brings what comes for the subscriptions.
func (c *Client) Feed() <-chan Message { return c.feed.out }

// Lost brings the reason whenever the connection broke; it is being made again
// then.
func (c *Client) Lost() <-chan error { return c.lost }

// Close ends the connection. It must be called once.
func (c *Client) Close() {
	close(c.done)
	c.mqtt.Disconnect(250)
}

// receive is called by a goroutine of the library, whose panic would end the tool.
func (c *Client) receive(_ paho.Client, m paho.Message) {
	err := fence.Call(func() error {
		if topic, ok := dialect.ParseTopic(c.root, m.Topic()); ok {
			c.hand(Message{Topic: topic, Payload: m.Payload(), Retained: m.Retained(), ack: m.Ack})
		}
		return nil
	})
	if err != nil {
		c.onLoss(nil, fmt.Errorf("reading a message on %s: %w", m.Topic(), err))
	}
}

func (c *Client) hand(m Message) {
	if len(m.Payload) > longest(m.Topic) {
		m.Payload, m.TooLong = nil, true
	}
	c.feed.put(m)
}

// longest is how many bytes a message on the topic may have. Many wait in the
// feed at a time, so each is bounded before anybody looks at it.
func longest(t dialect.Topic) int {
	switch {
	case t.To != "":
		return dialect.MaxPayload
	case t.Part == "facts":
		return maxFacts
	case t.Part == dialect.Rollouts:
		return MaxRollout
	}
	return dialect.MaxStatus
}

func (c *Client) onLoss(_ paho.Client, err error) {
	select {
	case c.lost <- err:
	default:
	}
}

// resubscribe is called after every connect; the broker keeps no session for us.
// At the first one nothing was lost, and all that is retained would come twice.
func (c *Client) resubscribe(paho.Client) {
	if c.again.Swap(true) {
		c.Refresh()
	}
}

// Refresh subscribes to everything again, so that all that is retained comes
// once more. It does not wait for it.
func (c *Client) Refresh() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.filters) > 0 {
		c.mqtt.SubscribeMultiple(c.filters, nil)
	}
}

// Publish sends a retained message and waits until the broker has taken it. An
// empty one clears what was retained.
func (c *Client) Publish(ctx context.Context, to dialect.Topic, payload []byte) error {
	return c.publish(ctx, to, payload, true)
}

// PublishOnce sends a message that the broker does not keep, and waits until it has
// taken it.
func (c *Client) PublishOnce(ctx context.Context, to dialect.Topic, payload []byte) error {
	return c.publish(ctx, to, payload, false)
}

func (c *Client) publish(ctx context.Context, to dialect.Topic, payload []byte, keep bool) error {
	topic := to.Below(c.root)
	if err := c.wait(ctx, c.mqtt.Publish(topic, 1, keep, payload), answerTimeout); err != nil {
		return fmt.Errorf("publishing to %s: %w", topic, err)
	}
	return nil
}

// Subscribe lets the messages for the filters come into the feed.
func (c *Client) Subscribe(ctx context.Context, filters ...string) error {
	return c.subscribe(ctx, c.note(filters))
}

// note keeps the filters for the next connection, and returns them as a request has
// them.
func (c *Client) note(filters []string) map[string]byte {
	asked := map[string]byte{}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range filters {
		asked[f], c.filters[f] = readQoS, readQoS
	}
	return asked
}

func (c *Client) subscribe(ctx context.Context, asked map[string]byte) error {
	begun := time.Now()
	token := c.ask(asked)
	if err := c.wait(ctx, token, answerTimeout); err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	c.lag = max(c.lag, time.Since(begun))
	return refused(token)
}

// ask sends the request for the filters.
func (c *Client) ask(asked map[string]byte) paho.Token {
	c.broke.Store(nil)
	return c.mqtt.SubscribeMultiple(asked, nil)
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

// ReadRetained subscribes to the filters and gives what is retained there to take. It
// returns when all has come; what comes later waits in the feed.
func (c *Client) ReadRetained(ctx context.Context, take func(Message), filters ...string) error {
	if err := c.request(ctx, take, filters); err != nil {
		return err
	}
	return c.drain(ctx, take)
}

// request subscribes to the filters, and gives what comes before the answer to take:
// the answer is behind it.
func (c *Client) request(ctx context.Context, take func(Message), filters []string) error {
	token, begun := c.ask(c.note(filters)), time.Now()
	came := time.Time{}
	tick := time.NewTicker(quietTime)
	defer tick.Stop()
	for {
		select {
		case m := <-c.feed.out:
			came = time.Now()
			take(m)
		case <-token.Done():
			if err := c.because(token.Error()); err != nil {
				return fmt.Errorf("subscribing: %w", err)
			}
			if err := refused(token); err != nil {
				return err
			}
			c.lag = max(c.lag, min(time.Since(begun), quietTime))
			return nil
		case <-tick.C:
			switch {
			case time.Since(begun) > c.limit:
				return c.endless()
			case came.IsZero() && time.Since(begun) > answerTimeout:
				return fmt.Errorf("subscribing: no answer within %v", answerTimeout)
			case !came.IsZero() && time.Since(came) > lostAnswer:
				return nil
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// drain gives what comes to take until what is retained has come.
func (c *Client) drain(ctx context.Context, take func(Message)) error {
	span := quietTime + 2*c.lag
	quiet := time.NewTimer(span)
	defer quiet.Stop()
	end := time.NewTimer(c.limit)
	defer end.Stop()
	for {
		select {
		case <-end.C:
			return c.endless()
		case m := <-c.feed.out:
			take(m)
			if m.Retained {
				quiet.Reset(span)
			}
		case <-quiet.C:
			return c.violation()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (c *Client) endless() error {
	return fmt.Errorf("the broker does not come to an end with what is retained: %v of it were read: check who publishes below %s", c.limit, c.root)
}
