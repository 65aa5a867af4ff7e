package fakecloud

import (
	"slices"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Rules are those that clouds have in common. A cloud's own embed them and add
// who is let in, and what becomes of a message.
type Rules struct {
	mochi.HookBase
	KeepAlive uint16 // seconds, at most
}

// ID names the hook to the broker.
func (Rules) ID() string { return "cloud" }

// Provides lists what the rules are asked about.
func (Rules) Provides(event byte) bool {
	return slices.Contains([]byte{mochi.OnConnect, mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnSessionEstablished,
		mochi.OnPacketRead, mochi.OnPacketProcessed, mochi.OnSubscribe, mochi.OnPublish}, event)
}

// OnConnect bounds the keep-alive.
func (r Rules) OnConnect(cl *mochi.Client, _ packets.Packet) error {
	if k := cl.State.Keepalive; k == 0 || k > r.KeepAlive {
		cl.State.Keepalive = r.KeepAlive
	}
	return nil
}

// Grant lowers what is subscribed to QoS 1, and returns how many subscriptions
// the device has then.
func Grant(cl *mochi.Client, p packets.Packet) int {
	have := cl.State.Subscriptions.GetAll()
	for i, f := range p.Filters {
		have[f.Filter] = f
		p.Filters[i].Qos = min(f.Qos, 1)
	}
	return len(have)
}
