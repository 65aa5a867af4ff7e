package agent

import (
	"bytes"
	"strings"
	"sync/atomic"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/ratchetd/ratchet/agent/link/packet/packettest"
)

// What a broker does itself. TestNoPacketOfABrokerEndsTheAgent has the rest of
// the packets that none may send.
var attacksByBrokers = []attack{
	{"a SUBACK with a code too many", func(f *fort) string { return f.meets("SUBACK with a surplus code") }},
	{"a message with QoS 2, which nobody asked for", func(f *fort) string { return f.meets("PUBLISH with QoS 2") }},
	{"a message of 256 MB", func(f *fort) string { return f.meets("PUBLISH of 256 MB") }},
	{"a message on a topic with a wildcard", func(f *fort) string { return f.meets("PUBLISH with a wildcard") }},
	{"a server that speaks HTTP", func(f *fort) string { return f.meets("HTTP") }},
	{"thousands of late wills, and no acknowledgement", unacknowledged},
}

// unacknowledged has a device answer what a broker says again and again, while
// nothing that it says is acknowledged.
func unacknowledged(f *fort) string {
	away := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	away.TopicName, away.Payload = "ratchet/v1/device/gw-1/state", []byte(`{"online":false}`)
	const n = 10_000
	var said atomic.Int32
	rogue := packettest.Broker{Answer: func(p packets.ControlPacket) ([]byte, bool) {
		if _, ok := p.(*packets.PublishPacket); !ok {
			return nil, false
		}
		switch said.Add(1) {
		case 1: // its state
			return nil, false
		case 2: // its facts
			return append(packettest.Answer(p), bytes.Repeat(packettest.Raw(away), n)...), true
		}
		return nil, true
	}}
	d := newDevice(f.T, &broker{t: f.T, addr: rogue.Serve(f.T)}, "").start()
	await(f.T, "its answers", func() bool { return said.Load() >= 400 })
	d.stop()
	if got := said.Load(); got > n/10 {
		f.Errorf("%d messages were sent without an answer", got)
	}
	return "some hundred answers, then it waits; it stops when it is to"
}

// meets has a device meet a broker that sends that, and returns what it says of
// it. It goes on trying.
func (f *fort) meets(name string) string {
	f.Helper()
	for _, a := range packettest.Attacks {
		if a.Name != name {
			continue
		}
		rogue := packettest.Broker{Answer: a.Answer}
		d := newDevice(f.T, &broker{t: f.T, addr: rogue.Serve(f.T)}, "").start()
		got := ""
		await(f.T, "the device to say what it met", func() bool {
			got = d.link.Status().Err
			return strings.Contains(got, a.Want)
		})
		for _, begins := range []string{"what answers ", "the broker "} {
			if i := strings.Index(got, begins); i >= 0 {
				return "the connection ends: " + got[i:]
			}
		}
	}
	f.Fatalf("no packet %q", name)
	return ""
}
