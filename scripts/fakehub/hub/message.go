package hub

import (
	"bytes"
	"errors"
	"net/url"
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
	h.devices[cl.ID].messages = append(h.devices[cl.ID].messages, m)
	return true
}

// Messages are those of the device so far.
func (h *Hub) Messages(id string) []Message {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Message(nil), h.devices[id].messages...)
}

// Send queues a message to the device, which gets it with QoS 1, at once or
// when it comes again [c2d].
func (h *Hub) Send(id, bag string, payload []byte) error {
	if len(payload) > maxC2D {
		return errors.New("413: the message is too large")
	}
	if cl, ok := h.Broker().Clients.Get(id); ok && cl.State.Inflight.Len() >= pending {
		return errors.New("403: too many messages wait for this device")
	}
	return h.Broker().Publish("devices/"+id+"/messages/devicebound/"+bag, payload, false, 1)
}
