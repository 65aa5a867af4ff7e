package fakecloud

import (
	"strings"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Kept is the session of a device, connected or not; nil where there is none.
func (f *Front) Kept(id string) *mochi.Client {
	cl, ok := f.server.Clients.Get(id)
	if !ok {
		return nil
	}
	return cl
}

// Deliver hands a message to a session by the subscription that covers its
// topic, and reports whether there is one. With QoS 1 it comes again after a
// reconnect until it is acknowledged, and waits for a device that is away.
func (f *Front) Deliver(cl *mochi.Client, topic string, payload []byte) bool {
	qos, ok := subscribed(cl, topic)
	if !ok {
		return false
	}
	p := f.packet(topic, payload, qos)
	if qos > 0 {
		cl.State.Inflight.Set(p)
	}
	_ = cl.WritePacket(p) // to one that is away: it is kept, or was with QoS 0
	return true
}

// Write hands a message to the device on this connection, and returns the id
// that it acknowledges. Nothing is kept.
func (f *Front) Write(cl *mochi.Client, topic string, payload []byte, qos byte) (id uint16) {
	p := f.packet(topic, payload, qos)
	_ = cl.WritePacket(p) // a connection that is gone gets nothing
	return p.PacketID
}

// packet is a message. The broker refuses a SUBSCRIBE with the id of a message
// of its own, and most clients count from 1: so ids are large ones.
func (f *Front) packet(topic string, payload []byte, qos byte) packets.Packet {
	p := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: qos}, TopicName: topic, Payload: payload, Created: time.Now().Unix()}
	if qos > 0 {
		p.PacketID = uint16(0x8000 | f.ids.Add(1)&0x7fff)
	}
	return p
}

// subscribed is the QoS of the session's subscriptions that cover a topic, the
// highest of them.
func subscribed(cl *mochi.Client, topic string) (qos byte, ok bool) {
	for filter, sub := range cl.State.Subscriptions.GetAll() {
		if covers(filter, topic) {
			qos, ok = max(qos, sub.Qos), true
		}
	}
	return qos, ok
}

// covers reports whether a filter is for a topic; one that begins with a
// wildcard is for none that begins with $.
func covers(filter, topic string) bool {
	levels, names := strings.Split(filter, "/"), strings.Split(topic, "/")
	for i, level := range levels {
		wild := level == "#" || level == "+"
		switch {
		case wild && i == 0 && strings.HasPrefix(topic, "$"):
			return false
		case level == "#":
			return true
		case i >= len(names) || !wild && level != names[i]:
			return false
		}
	}
	return len(levels) == len(names)
}
