package hub

import (
	"slices"
	"strings"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/ratchetd/ratchet/scripts/fakecloud"
)

const (
	maxSubscriptions = 5         // [mqtt]: "up to five subscriptions"
	maxKeepAlive     = 1178      // seconds; dropped after 1.5 times that [mqtt]
	maxD2C           = 256 << 10 // [quotas]
)

// Filters that a device may subscribe to [mqtt].
const (
	filterMethods = "$iothub/methods/POST/#"
	filterAnswers = "$iothub/twin/res/#"
	filterDesired = "$iothub/twin/PATCH/properties/desired/#"
)

func filterBound(id string) string { return "devices/" + id + "/messages/devicebound/#" }

// rules check what devices do against those of the hub. They are the broker's
// hook: nothing that a device publishes goes to another one.
type rules struct {
	fakecloud.Rules
	h *Hub
}

// OnConnectAuthenticate refuses with CONNACK 5.
func (r *rules) OnConnectAuthenticate(cl *mochi.Client, p packets.Packet) bool {
	err := r.h.admit(cl, p)
	if err != nil {
		r.h.Note(cl.ID, "refused: "+err.Error())
	}
	return err == nil
}

// OnACLCheck leaves that to OnSubscribe and OnPublish, which end the connection.
func (r *rules) OnACLCheck(*mochi.Client, string, bool) bool { return true }

// OnSessionEstablished counts the connection, and hands on what waits for it.
func (r *rules) OnSessionEstablished(cl *mochi.Client, _ packets.Packet) {
	r.h.mu.Lock()
	if d := r.h.devices[cl.ID]; d != nil {
		d.connects++
	}
	r.h.mu.Unlock()
	r.h.deliver(cl)
}

// OnPacketRead looks for acknowledgements: the queue of messages to a device is
// the hub's, not the broker's.
func (r *rules) OnPacketRead(cl *mochi.Client, p packets.Packet) (packets.Packet, error) {
	if p.FixedHeader.Type == packets.Puback {
		r.h.acknowledged(cl, p.PacketID)
	}
	return p, nil
}

// OnPacketProcessed hands on what waits for a device that has subscribed.
func (r *rules) OnPacketProcessed(cl *mochi.Client, p packets.Packet, _ error) {
	if p.FixedHeader.Type == packets.Subscribe {
		r.h.deliver(cl)
	}
}

// OnSubscribe takes only the documented filters, at most five at a time, and
// grants QoS 1 for QoS 2. Everything else ends the connection [mqtt].
func (r *rules) OnSubscribe(cl *mochi.Client, p packets.Packet) packets.Packet {
	allowed := []string{filterMethods, filterAnswers, filterDesired, filterBound(cl.ID)}
	if r.h.Basic {
		allowed = nil
	}
	have := fakecloud.Grant(cl, p)
	for _, f := range p.Filters {
		if !slices.Contains(allowed, f.Filter) {
			r.h.End(cl, "subscribed to "+f.Filter)
			p.Filters = nil
			return p
		}
	}
	if have > maxSubscriptions {
		r.h.End(cl, "too many subscriptions")
		p.Filters = nil
	}
	return p
}

// OnPublish does what the message asks for. Nothing is handed to another
// device, and nothing is kept for RETAIN, which becomes a property [mqtt].
func (r *rules) OnPublish(cl *mochi.Client, p packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline {
		return p, nil
	}
	why := ""
	switch {
	case p.FixedHeader.Qos == 2:
		why = "published with QoS 2"
	case !r.h.take(cl, p):
		why = "published to " + p.TopicName
	}
	if why != "" {
		r.h.End(cl, why)
		return p, packets.ErrRejectPacket
	}
	if cl.Closed() { // cut before the answer, and before the PUBACK
		return p, packets.ErrRejectPacket
	}
	return p, packets.CodeSuccessIgnore
}

// take reports whether it was a message to the hub at all.
func (h *Hub) take(cl *mochi.Client, p packets.Packet) bool {
	topic := p.TopicName
	if bag, ok := strings.CutPrefix(topic, "devices/"+cl.ID+"/messages/events/"); ok {
		return h.takeMessage(cl, bag, p)
	}
	if h.Basic {
		return false
	}
	if rid, ok := strings.CutPrefix(topic, "$iothub/twin/GET/?$rid="); ok {
		h.answerGet(cl, topic, rid)
		return true
	}
	if rest, ok := strings.CutPrefix(topic, "$iothub/twin/PATCH/properties/reported/?$rid="); ok {
		rid, base, _ := strings.Cut(rest, "&$version=")
		h.answerPatch(cl, topic, rid, base, p.Payload)
		return true
	}
	if rest, ok := strings.CutPrefix(topic, "$iothub/methods/res/"); ok {
		status, rid, ok := strings.Cut(rest, "/?$rid=")
		return ok && h.takeAnswer(status, rid, p.Payload)
	}
	return false
}

// fate is what becomes of the message with this topic.
func (h *Hub) fate(topic string) Fate {
	h.mu.Lock()
	decide := h.Fate
	h.mu.Unlock()
	if decide == nil {
		return Fate{}
	}
	return decide(topic)
}

// SetFate changes what becomes of messages from now on.
func (h *Hub) SetFate(decide func(topic string) Fate) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Fate = decide
}

// send hands a message with QoS 0 to the device, if it has subscribed to it.
func send(cl *mochi.Client, filter, topic string, payload []byte) bool {
	if _, ok := cl.State.Subscriptions.Get(filter); !ok {
		return false
	}
	return cl.WritePacket(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish},
		TopicName: topic, Payload: payload}) == nil
}
