package packet_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/ratchetd/ratchet/agent/link/packet"
	"github.com/ratchetd/ratchet/agent/link/packet/packettest"
)

// A cut connection brings what a broker sends in pieces of random size, and
// takes everything in.
type cut struct {
	net.Conn
	from   *bytes.Reader
	random *rand.Rand
}

func (c cut) Read(p []byte) (int, error) {
	return c.from.Read(p[:min(len(p), 1+c.random.IntN(1+c.random.IntN(2000)))])
}

func (c cut) Write(p []byte) (int, error)      { return len(p), nil }
func (c cut) SetWriteDeadline(time.Time) error { return nil }

// asked is what waits for an answer, by id: how many topics a SUBSCRIBE has, -1
// for an UNSUBSCRIBE and 0 for a PUBLISH.
var asked = map[uint16]int{1: 1, 2: 2, 3: 8, 4: -1, 5: 0, 6: 0}

// ask writes what asked has.
func ask(t *testing.T, c net.Conn) {
	for id, n := range asked {
		var p packets.ControlPacket
		switch {
		case n > 0:
			s := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
			s.MessageID, s.Topics, s.Qoss = id, make([]string, n), make([]byte, n)
			p = s
		case n < 0:
			u := packets.NewControlPacket(packets.Unsubscribe).(*packets.UnsubscribePacket)
			u.MessageID, u.Topics = id, []string{"t"}
			p = u
		default:
			m := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
			m.MessageID, m.Qos, m.TopicName = id, 1, "t"
			p = m
		}
		if err := p.Write(c); err != nil {
			t.Fatal(err)
		}
	}
}

func seeds(f *testing.F) {
	greeting := []byte{0x20, 2, 0, 0}
	for _, attack := range packettest.Attacks {
		sent := attack.Send(2, 2)
		if attack.To != packets.Connect {
			sent = append(bytes.Clone(greeting), sent...)
		}
		if len(sent) < 1000 {
			f.Add(sent, uint64(len(sent)))
			f.Add(append(bytes.Clone(sent), 0xd0, 0, 0xd0, 0, 0xd0, 0), uint64(len(sent)))
		}
	}
	f.Add(append(bytes.Clone(greeting), 0x40, 2, 0, 1, 0x40, 0x82, 0, 0, 9, 0x90, 3, 0, 1, 1), uint64(2))
	f.Add(append(bytes.Clone(greeting), 0x40, 2, 0, 5, 0xb0, 2, 0, 4, 0x90, 10, 0, 3, 1, 1, 1, 1, 1, 1, 1, 0x80, 0x33, 6, 0, 1, 't', 0, 7, 'x', 0xd0, 0), uint64(1))
}

// Whatever a broker sends, and however it is cut: what the filter passes on is
// what came, but for acknowledgements that nothing waits for, and the library can
// read it and does not choke on it.
func FuzzPacketFilter(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, sent []byte, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 1))
		c := packet.Guard(cut{from: bytes.NewReader(sent), random: random}, 500)
		ask(t, c)
		var got []byte
		var err error
		for err == nil {
			p := make([]byte, 1+random.IntN(300))
			var n int
			n, err = c.Read(p)
			got = append(got, p[:n]...)
		}
		violation := errors.As(err, new(*packet.Violation))
		if !violation && err != io.EOF {
			t.Fatalf("ended with %v", err)
		}
		digest(t, sent, got, violation)
	})
}

// digest reads packets as the library does, and fails where that, or one of its
// handlers, would choke.
func digest(t *testing.T, sent, got []byte, violation bool) {
	open := map[uint16]int{}
	for id, n := range asked {
		open[id] = n
	}
	r := bytes.NewReader(got)
	for first := true; r.Len() > 0; first = false {
		at := len(got) - r.Len()
		p, err := packets.ReadPacket(r)
		sent = rest(t, sent, got[at:len(got)-r.Len()])
		if err == io.ErrUnexpectedEOF && !violation && got[at]>>4 == packets.Publish {
			return // the rest of its payload did not come
		}
		if err != nil {
			t.Fatalf("%x cannot be read: %v", got[at:], err)
		}
		if _, hello := p.(*packets.ConnackPacket); hello != first {
			t.Fatalf("CONNACK first: %v, at %d", hello, at)
		}
		if why := chokes(p, open); why != "" {
			t.Fatalf("%v: %s", p, why)
		}
	}
}

// rest returns what was sent behind a packet that was passed on. Only
// acknowledgements may have been left out before it.
func rest(t *testing.T, sent, packet []byte) []byte {
	for !bytes.HasPrefix(sent, packet) {
		if len(sent) < 4 || sent[0] != 0x40 {
			t.Fatalf("passed %x, which was not sent", packet)
		}
		length := 1
		for sent[length] >= 0x80 { // it may be written with leading zeros
			length++
		}
		sent = sent[length+3:]
	}
	return sent[len(packet):]
}

// chokes says why the library's handlers would choke on p, or take it for the
// answer to something else.
func chokes(p packets.ControlPacket, open map[uint16]int) string {
	id := p.Details().MessageID
	topics, asked := open[id]
	if _, message := p.(*packets.PublishPacket); !message {
		delete(open, id)
	}
	switch p := p.(type) {
	case *packets.ConnackPacket:
		if packets.ConnErrors[p.ReturnCode] == nil && p.ReturnCode != packets.Accepted {
			return "it is taken for a success"
		}
	case *packets.PingrespPacket:
	case *packets.SubackPacket:
		if !asked || topics < 1 || topics != len(p.ReturnCodes) {
			return "it answers no SUBSCRIBE"
		}
	case *packets.UnsubackPacket:
		if !asked || topics != -1 {
			return "it answers no UNSUBSCRIBE"
		}
	case *packets.PubackPacket:
		if !asked || topics != 0 || p.Qos != 0 {
			return "it answers no PUBLISH"
		}
	case *packets.PublishPacket:
		if p.Qos > 1 || p.Qos == 1 && id == 0 || p.TopicName == "" || !utf8.ValidString(p.TopicName) || strings.ContainsAny(p.TopicName, "+#\x00") || p.RemainingLength > 70_000 {
			return "it is no legal message"
		}
		if n := p.RemainingLength - 2 - len(p.TopicName) - 2*int(p.Qos); n != len(p.Payload) {
			return "its payload is cut"
		}
	default:
		return "it is not for a client"
	}
	return ""
}

// A fed connection brings a CONNACK, then what a broker sends once a
// subscription was written, and then ends.
type fed struct {
	net.Conn
	from       io.Reader
	subscribed chan struct{}
	closed     chan struct{}
	hello      []byte
}

func (c *fed) Read(p []byte) (int, error) {
	if len(c.hello) > 0 {
		n := copy(p, c.hello)
		c.hello = c.hello[n:]
		return n, nil
	}
	select {
	case <-c.subscribed:
		return c.from.Read(p)
	case <-c.closed:
		return 0, net.ErrClosed
	}
}

func (c *fed) Write(p []byte) (int, error) {
	if p[0]>>4 == packets.Subscribe {
		close(c.subscribed)
	}
	return len(p), nil
}

func (c *fed) Close() error {
	select {
	case <-c.closed:
	default:
		close(c.closed)
	}
	return nil
}

func (c *fed) SetDeadline(time.Time) error      { return nil }
func (c *fed) SetWriteDeadline(time.Time) error { return nil }

// Whatever a broker sends, a client behind the filter lives on and says that
// the connection ended.
func FuzzClientBehindTheFilter(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, sent []byte, seed uint64) {
		lost := make(chan error, 1)
		conn := &fed{hello: []byte{0x20, 2, 0, 0}, subscribed: make(chan struct{}), closed: make(chan struct{}),
			from: cut{from: bytes.NewReader(bytes.TrimPrefix(sent, []byte{0x20, 2, 0, 0})), random: rand.New(rand.NewPCG(seed, 1))}}
		o := mqtt.NewClientOptions().AddBroker("tcp://x").SetAutoReconnect(false).SetProtocolVersion(4).SetKeepAlive(0)
		o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost <- err })
		o.SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return packet.Guard(conn, 500), nil })
		c := mqtt.NewClient(o)
		if token := c.Connect(); !token.WaitTimeout(time.Minute) || token.Error() != nil {
			t.Fatal("no connection:", token.Error())
		}
		token := c.SubscribeMultiple(map[string]byte{"a": 1, "b": 1}, nil)
		select {
		case <-lost:
		case <-time.After(time.Minute):
			t.Fatal("the connection did not end")
		}
		if !token.WaitTimeout(time.Minute) {
			t.Fatal("the subscription did not end")
		}
	})
}
