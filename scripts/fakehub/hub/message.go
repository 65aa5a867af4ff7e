package hub

import (
	"bytes"
	"net/url"
	"slices"
	"strings"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

const (
	maxC2D  = 64 << 10 // [c2d]
	pending = 50       // messages to one device [c2d]
)

// A Message is one from a device, with its properties: $.ct is the content
// type, $.ce the encoding [d2c].
type Message struct {
	Properties map[string]string
	Payload    []byte
	At         time.Time
}

// takeMessage notes a message of a device, if it is well-formed.
func (h *Hub) takeMessage(cl *mochi.Client, bag string, p packets.Packet) bool {
	properties, err := url.ParseQuery(bag)
	if err != nil || len(p.Payload) > maxD2C || strings.Contains(bag, "/") {
		return false
	}
	m := Message{Properties: map[string]string{}, Payload: bytes.Clone(p.Payload), At: h.Now()}
	for name := range properties {
		m.Properties[name] = properties.Get(name)
	}
	if p.FixedHeader.Retain { // [mqtt]
		m.Properties["mqtt-retain"] = "true"
	}
	if f := h.fate(p.TopicName); f.Cut {
		h.End(cl, "cut")
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if d := h.devices[cl.ID]; d != nil {
		d.messages = append(d.messages, m)
	}
	return true
}

// Messages are those of the device so far.
func (h *Hub) Messages(id string) []Message {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d := h.devices[id]; d != nil {
		return slices.Clone(d.messages)
	}
	return nil
}

// bound is a message to a device, which waits in the hub's queue until the
// device has acknowledged it [c2d], also one with clean sessions, for which
// [mqtt] does not promise it.
type bound struct {
	topic   string
	payload []byte
	on      *mochi.Client // the connection that it was sent on last
	id      uint16        // as what
}

// Send queues a message to the device, which gets it with QoS 1, at once or
// when it comes again and has subscribed [c2d].
func (h *Hub) Send(id, bag string, payload []byte) error {
	h.mu.Lock()
	d := h.devices[id]
	switch {
	case d == nil:
		h.mu.Unlock()
		return noDevice(id)
	case len(payload) > maxC2D:
		h.mu.Unlock()
		return refuse(413, "RequestEntityTooLarge", "the message is too large")
	case len(d.bound) >= pending:
		h.mu.Unlock()
		return refuse(403, "DeviceMaximumQueueDepthExceeded", "%d messages wait for this device", pending)
	}
	d.bound = append(d.bound, &bound{topic: "devices/" + id + "/messages/devicebound/" + bag, payload: payload})
	h.mu.Unlock()
	if cl := h.Client(id); cl != nil {
		h.deliver(cl)
	}
	return nil
}

// deliver sends what waits for the device and was not sent on this connection,
// if the device has subscribed.
func (h *Hub) deliver(cl *mochi.Client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := h.devices[cl.ID]
	sub, subscribed := cl.State.Subscriptions.Get(filterBound(cl.ID))
	if d == nil || !subscribed {
		return
	}
	d.bound = slices.DeleteFunc(d.bound, func(b *bound) bool {
		if b.on != cl {
			b.on, b.id = cl, h.Write(cl, b.topic, b.payload, sub.Qos)
		}
		return sub.Qos == 0 // such a one is never acknowledged
	})
}

// acknowledged takes the message with this id out of the queue.
func (h *Hub) acknowledged(cl *mochi.Client, id uint16) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d := h.devices[cl.ID]; d != nil {
		d.bound = slices.DeleteFunc(d.bound, func(b *bound) bool { return b.on == cl && b.id == id })
	}
}
