package link

import (
	"strings"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/ratchetd/ratchet/agent/link/packet/packettest"
)

// A broker that answers a subscription with more codes than topics made the
// library index past its end: the tool died.
func TestASubackWithSurplusCodesEndsNothing(t *testing.T) {
	rogue := packettest.Broker{Answer: func(p packets.ControlPacket) ([]byte, bool) {
		ask, ok := p.(*packets.SubscribePacket)
		if !ok {
			return nil, false
		}
		return packettest.Suback(ask.MessageID, append(ask.Qoss, 1)...), true
	}}
	c, err := Connect(t.Context(), Options{Broker: "tcp://" + rogue.Serve(t), Root: "r"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const want = "2 codes (topics asked for: 1)"
	if err := c.Subscribe(t.Context(), "r/a"); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}
