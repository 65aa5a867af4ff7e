package packet_test

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/ratchetd/ratchet/agent/link/packet"
	"github.com/ratchetd/ratchet/agent/link/packet/packettest"
)

// An endless connection brings the same bytes over and over, after a CONNACK.
type endless struct {
	net.Conn
	hello, again []byte
	at           int
}

func (c *endless) Read(p []byte) (int, error) {
	if len(c.hello) > 0 {
		n := copy(p, c.hello)
		c.hello = c.hello[n:]
		return n, nil
	}
	n := copy(p, c.again[c.at:])
	c.at = (c.at + n) % len(c.again)
	return n, nil
}

func (c *endless) Write(p []byte) (int, error)      { return len(p), nil }
func (c *endless) SetWriteDeadline(time.Time) error { return nil }

// take reads one packet of that size in the way of the library.
func take(b *testing.B, from io.Reader, p []byte, header int) {
	for i := range header {
		if _, err := io.ReadFull(from, p[i:i+1]); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := io.ReadFull(from, p[header:]); err != nil {
		b.Fatal(err)
	}
}

// The difference between bare and filtered is what the filter costs.
func BenchmarkMessage(b *testing.B) {
	for _, size := range []int{16, 1000, 100_000} {
		m := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
		m.Qos, m.MessageID, m.TopicName, m.Payload = 1, 7, "ratchet/v1/jobs/device/gw-1/wifi-2026-11", make([]byte, size)
		raw := packettest.Raw(m)
		header, p := len(raw)-m.RemainingLength, make([]byte, len(raw))
		b.Run(fmt.Sprintf("bare/%d", size), func(b *testing.B) {
			b.ReportAllocs()
			for c := (&endless{again: raw}); b.Loop(); {
				take(b, c, p, header)
			}
		})
		b.Run(fmt.Sprintf("filtered/%d", size), func(b *testing.B) {
			c := packet.Guard(&endless{hello: []byte{0x20, 2, 0, 0}, again: raw}, 256<<10)
			take(b, c, make([]byte, 4), 2)
			b.ReportAllocs()
			for b.Loop() {
				take(b, c, p, header)
			}
		})
	}
}

// A message of ours and its acknowledgement.
func BenchmarkAnswered(b *testing.B) {
	m := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	m.Qos, m.MessageID, m.TopicName, m.Payload = 1, 7, "ratchet/v1/device/gw-1/health", make([]byte, 1000)
	raw, p := packettest.Raw(m), make([]byte, 4)
	c := packet.Guard(&endless{hello: []byte{0x20, 2, 0, 0}, again: packettest.Answer(m)}, 256<<10)
	take(b, c, p, 2)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(raw); err != nil {
			b.Fatal(err)
		}
		take(b, c, p, 2)
	}
}
