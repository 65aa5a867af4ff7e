package jobs

import (
	"bytes"
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
	maxSlashes       = 7    // behind the reserved part of a topic
	maxKeepAlive     = 1200 // seconds
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

// OnSubscribe ends the connection at too many filters, and grants at most QoS 1 [mqtt, limits].
func (r *rules) OnSubscribe(cl *mochi.Client, p packets.Packet) packets.Packet {
	if have := fakecloud.Grant(cl, p); len(p.Filters) > maxFilters || have > maxSubscriptions {
		r.s.End(cl, "too many subscriptions")
		p.Filters = nil
	}
	return p
}

// OnPublish does what a request asks for; whatever breaks a rule ends the
// connection [mqtt, limits].
func (r *rules) OnPublish(cl *mochi.Client, p packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline {
		return p, nil
	}
	rest, reserved := strings.CutPrefix(p.TopicName, "$aws/things/"+cl.ID+"/")
	why := ""
	switch {
	case p.FixedHeader.Qos == 2:
		why = "published with QoS 2"
	case len(p.Payload) > maxPayload:
		why = "published too much"
	case r.s.denied(p.TopicName, true):
		why = "may not publish to " + p.TopicName
	case strings.HasPrefix(p.TopicName, "$") && !reserved:
		why = "published to " + p.TopicName
	case strings.Count(rest, "/") > maxSlashes:
		why = "published to a topic of too many levels"
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
			time.AfterFunc(f.Delay, func() { send(cl, cl.ID, reply, body) })
		} else {
			send(cl, cl.ID, reply, body)
		}
	}
	if f.Cut {
		s.End(cl, "cut after "+topic)
	}
	return f.Cut
}

// send hands a message to the device that asked, subscribed or not [topics].
func send(cl *mochi.Client, thing, topic string, payload []byte) {
	_ = cl.WritePacket(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish},
		TopicName: "$aws/things/" + thing + "/" + topic, Payload: payload}) // a connection that is gone gets nothing
}

// notify sends to a device that has subscribed; nothing is kept for one that is away.
func (s *Service) notify(thing, topic string, payload []byte) {
	cl := s.Client(thing)
	if cl == nil {
		return
	}
	if _, subscribed := cl.State.Subscriptions.Get("$aws/things/" + thing + "/" + topic); subscribed {
		send(cl, thing, topic, payload)
	}
}
