package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/ratchetd/ratchet/agent/dialect"
)

// A broker is a real one, in this process. It notes what it hands to devices
// and what they say.
type broker struct {
	t      *testing.T
	server *mochi.Server
	addr   string
	up     bool
	shut   atomic.Bool // it refuses every new connection
	mu     sync.Mutex
	said   []packets.Packet          // by devices, in order
	sent   map[string]int            // to devices, by topic
	last   map[string]packets.Packet // by topic
}

// A spy is the hook by which a broker notes what passes, and refuses connections.
type spy struct {
	mochi.HookBase
	b *broker
}

func (s *spy) ID() string { return "spy" }

func (s *spy) Provides(b byte) bool {
	return bytes.IndexByte([]byte{mochi.OnPublished, mochi.OnPacketSent, mochi.OnConnectAuthenticate, mochi.OnACLCheck}, b) >= 0
}

func (s *spy) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return !s.b.shut.Load() }
func (s *spy) OnACLCheck(*mochi.Client, string, bool) bool              { return true }

func (s *spy) OnPublished(c *mochi.Client, p packets.Packet) {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	p.Payload = bytes.Clone(p.Payload)
	s.b.said = append(s.b.said, p)
	s.b.last[p.TopicName] = p
}

func (s *spy) OnPacketSent(c *mochi.Client, p packets.Packet, _ []byte) {
	if p.FixedHeader.Type == packets.Publish {
		s.b.mu.Lock()
		defer s.b.mu.Unlock()
		s.b.sent[p.TopicName]++
	}
}

// newBroker starts one. Its tests mostly wait for topics to be quiet, so they
// run at the same time.
func newBroker(t *testing.T) *broker {
	t.Parallel()
	return newBrokerBeside(t)
}

// newBrokerBeside starts one more.
func newBrokerBeside(t *testing.T) *broker {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	b := &broker{t: t, addr: addr, sent: map[string]int{}, last: map[string]packets.Packet{}}
	b.start()
	t.Cleanup(b.stop)
	return b
}

// start starts it, with nothing that it knew before.
func (b *broker) start() {
	b.server = mochi.New(&mochi.Options{InlineClient: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	for _, err := range []error{
		b.server.AddHook(&spy{b: b}, nil),
		b.server.AddListener(listeners.NewTCP(listeners.Config{ID: "t", Address: b.addr})),
		b.server.Serve(),
	} {
		if err != nil {
			b.t.Fatal(err)
		}
	}
	b.up = true
}

// stop ends the broker and with it everything that it knew.
func (b *broker) stop() {
	if b.up {
		b.up = false
		b.server.Close()
	}
}

// drop ends the connection of a client.
func (b *broker) drop(id string) {
	if c, ok := b.server.Clients.Get(id); ok {
		c.Stop(errors.New("dropped by the test"))
	}
}

// gone reports whether a client has no connection, and the broker has done all
// that the end of one brings with it.
func (b *broker) gone(id string) bool {
	c, ok := b.server.Clients.Get(id)
	return !ok || c.Closed()
}

// offer retains a job, or a text, at its topic below jobs/; to is such as
// device/gw-1.
func (b *broker) offer(to string, doc any) {
	b.t.Helper()
	text, ok := doc.(string)
	if !ok {
		raw, err := json.Marshal(doc)
		if err != nil {
			b.t.Fatal(err)
		}
		text = string(raw)
	}
	var head struct{ ID string }
	_ = json.Unmarshal([]byte(text), &head)
	b.retain(dialect.Topic{To: to, Name: head.ID}.Below("ratchet/v1"), text)
}

// retain has the broker keep a message and hand it out.
func (b *broker) retain(topic, payload string) {
	b.t.Helper()
	if err := b.server.Publish(topic, []byte(payload), true, 1); err != nil {
		b.t.Fatal(err)
	}
}

// retained is what the broker keeps on a topic.
func (b *broker) retained(topic string) string {
	for _, p := range b.server.Topics.Messages(topic) {
		return string(p.Payload)
	}
	return ""
}

// await returns the first thing said on a topic that satisfies ok.
func (b *broker) await(topic string, ok func(payload string) bool) string {
	b.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		for _, payload := range b.saidOn(topic) {
			if ok(payload) {
				return payload
			}
		}
	}
	b.t.Fatalf("nothing such was said on %s; last: %s", topic, b.lastOf(topic))
	return ""
}

// saidOn is what was said on a topic, in order.
func (b *broker) saidOn(topic string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []string
	for _, p := range b.said {
		if p.TopicName == topic {
			list = append(list, string(p.Payload))
		}
	}
	return list
}

// lastOf is what was said last on a topic, also before it was told to forget.
func (b *broker) lastOf(topic string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.last[topic].Payload)
}

// final returns the status with which a job ended on gw-1.
func (b *broker) final(id string) dialect.JobStatus {
	b.t.Helper()
	text := b.await(jobsTopic+id, func(p string) bool { return statusOf(p).State.Final() })
	return statusOf(text)
}

// forget drops what was noted so far.
func (b *broker) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.said, b.sent = nil, map[string]int{}
}

// count is how often devices were handed something on a topic.
func (b *broker) count(topic string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sent[topic]
}

// A bend is a hook of functions, with which a test changes what the broker does.
type bend struct {
	mochi.HookBase
	read       func(packets.Packet) packets.Packet          // what a device sends
	publish    func(packets.Packet) (packets.Packet, error) // what a device publishes, before it is acknowledged
	subscribed func()                                       // a device asks for it
}

func (*bend) ID() string { return "bend" }

func (f *bend) Provides(b byte) bool {
	return b == mochi.OnPacketRead && f.read != nil || b == mochi.OnPublish && f.publish != nil || b == mochi.OnSubscribe && f.subscribed != nil
}

func (f *bend) OnPacketRead(_ *mochi.Client, p packets.Packet) (packets.Packet, error) {
	return f.read(p), nil
}

func (f *bend) OnPublish(c *mochi.Client, p packets.Packet) (packets.Packet, error) {
	if c.Net.Inline {
		return p, nil
	}
	return f.publish(p)
}

func (f *bend) OnSubscribe(_ *mochi.Client, p packets.Packet) packets.Packet {
	f.subscribed()
	return p
}

// bend has the broker behave so from now on.
func (b *broker) bend(how *bend) {
	b.t.Helper()
	if err := b.server.AddHook(how, nil); err != nil {
		b.t.Fatal(err)
	}
}
