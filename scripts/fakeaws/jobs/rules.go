package jobs

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/ratchetd/ratchet/scripts/fakecloud"
)

// Limits of a connection [limits].
const (
	maxFilters       = 8 // of one SUBSCRIBE
	maxSubscriptions = 50
	maxPayload       = 128 << 10
	maxSlashes       = 7    // of a topic or filter, reserved ones too
	maxTopic         = 256  // bytes of a topic or filter
	maxClient        = 128  // bytes of a client's id
	maxKeepAlive     = 1200 // seconds
	maxSession       = 3600 // seconds that an unclean session of a device that is away lasts [mqtt]
)

// rules check what devices do against those of the service.
type rules struct {
	fakecloud.Rules
	s *Service
}

// OnConnectAuthenticate asks the custom authorizer, if there is one; otherwise
// the TLS handshake has asked for a certificate [mqtt].
func (r *rules) OnConnectAuthenticate(_ *mochi.Client, p packets.Packet) bool {
	return r.s.Authorize == nil || r.s.Authorize(string(p.Connect.Username), string(p.Connect.Password))
}

// OnACLCheck denies a subscription that the policy does not allow: SUBACK 0x80 [mqtt].
func (r *rules) OnACLCheck(cl *mochi.Client, topic string, write bool) bool {
	return cl.Net.Inline || write || !r.s.denied(topic, false)
}

func (s *Service) denied(topic string, publish bool) bool {
	return s.Deny != nil && s.Deny(topic, publish)
}

// OnSessionEstablished counts the connection.
func (r *rules) OnSessionEstablished(cl *mochi.Client, _ packets.Packet) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	t := r.s.thing(cl.ID)
	t.connects++
}

// OnConnect refuses an id that is too long. How the service refuses one is not
// documented; here the connection ends.
func (r *rules) OnConnect(cl *mochi.Client, p packets.Packet) error {
	if len(cl.ID) > maxClient {
		r.s.Note(cl.ID, "the client's id is too long")
		return packets.ErrClientIdentifierNotValid
	}
	return r.Rules.OnConnect(cl, p)
}

// OnPacketRead overhears what asks for QoS 2: the service answers nothing to it
// [mqtt]. The broker ignores the PUBACK that stands in for such a packet.
func (r *rules) OnPacketRead(cl *mochi.Client, p packets.Packet) (packets.Packet, error) {
	subscribes := p.FixedHeader.Type == packets.Subscribe && slices.ContainsFunc(p.Filters, func(f packets.Subscription) bool { return f.Qos == 2 })
	if subscribes || p.FixedHeader.Type == packets.Publish && p.FixedHeader.Qos == 2 {
		r.s.Note(cl.ID, "QoS 2")
		return packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}}, nil
	}
	return p, nil
}

// OnSubscribe ends the connection at too many filters, and at one that is too
// long or too deep [mqtt, limits].
func (r *rules) OnSubscribe(cl *mochi.Client, p packets.Packet) packets.Packet {
	why := ""
	if have := fakecloud.Grant(cl, p); len(p.Filters) > maxFilters || have > maxSubscriptions {
		why = "too many subscriptions"
	}
	for _, f := range p.Filters {
		why = cmp.Or(why, badTopic(f.Filter))
	}
	if why != "" {
		r.s.End(cl, why)
		p.Filters = nil
	}
	return p
}

// badTopic says what is wrong with a topic or filter [limits].
func badTopic(topic string) string {
	switch {
	case len(topic) > maxTopic:
		return "a topic that is too long"
	case strings.Count(topic, "/") > maxSlashes:
		return "a topic of too many levels"
	}
	return ""
}

// OnPublish does what a request asks for; whatever breaks a rule ends the
// connection [mqtt, limits].
func (r *rules) OnPublish(cl *mochi.Client, p packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline {
		return p, nil
	}
	rest, reserved := strings.CutPrefix(p.TopicName, "$aws/things/"+cl.ID+"/")
	why := badTopic(p.TopicName)
	switch {
	case why != "":
	case len(p.Payload) > maxPayload:
		why = "published too much"
	case r.s.denied(p.TopicName, true):
		why = "may not publish to " + p.TopicName
	case strings.HasPrefix(p.TopicName, "$") && !reserved:
		why = "published to " + p.TopicName
	}
	if why != "" {
		r.s.End(cl, why)
		return p, packets.ErrRejectPacket
	}
	if reserved && r.s.request(cl, rest, bytes.Clone(p.Payload)) {
		return p, packets.ErrRejectPacket // cut: not even a PUBACK
	}
	return p, packets.CodeSuccessIgnore
}

// request does what the topic asks for, by its fate, and reports whether
// the connection is cut.
func (s *Service) request(cl *mochi.Client, topic string, payload []byte) (cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var f Fate
	if s.Fate != nil {
		f = s.Fate(topic)
	}
	if f.Deaf {
		s.End(cl, "cut before "+topic)
		return true
	}
	for range map[bool]int{false: 1, true: 2}[f.Twice] {
		reply, body := s.answer(cl.ID, topic, payload, f.Code)
		if reply != "" && s.Watch != nil {
			s.Watch(reply)
		}
		if reply == "" || f.Lost || f.Cut {
			continue
		}
		if f.Delay > 0 {
			time.AfterFunc(f.Delay, func() { s.reply(cl, reply, body) })
		} else {
			s.reply(cl, reply, body)
		}
	}
	if f.Cut {
		s.End(cl, "cut after "+topic)
	}
	return f.Cut
}

// reply answers the device that asked, subscribed or not [topics].
func (s *Service) reply(cl *mochi.Client, topic string, payload []byte) {
	topic = "$aws/things/" + cl.ID + "/" + topic
	if !s.Deliver(cl, topic, payload) {
		s.Write(cl, topic, payload, 0)
	}
}

// notify sends to a device that has subscribed; for one that is away it waits in
// the session that the device left behind [mqtt].
func (s *Service) notify(thing, topic string, payload []byte) {
	if cl := s.Kept(thing); cl != nil {
		s.Deliver(cl, "$aws/things/"+thing+"/"+topic, payload)
	}
}
