package agent

import (
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/ratchetd/ratchet/agent/link/packet/packettest"
)

// A broker that answers a subscription with more codes than topics made the
// library index past its end: the agent died at every start.
func TestASubackWithSurplusCodesEndsNothing(t *testing.T) {
	t.Parallel()
	heard := make(chan packets.ControlPacket, 1<<10)
	rogue := packettest.Broker{Heard: heard, Answer: func(p packets.ControlPacket) ([]byte, bool) {
		ask, ok := p.(*packets.SubscribePacket)
		if !ok {
			return nil, false
		}
		return packettest.Suback(ask.MessageID, append(ask.Qoss, 1)...), true
	}}
	d := newDevice(t, &broker{t: t, addr: rogue.Serve(t)}, "").start()
	const want = "(topics asked for: "
	got := ""
	for end := time.Now().Add(time.Minute); !strings.Contains(got, want) && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		got = d.Agent.link.Status().Err
	}
	if !strings.Contains(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for connects := 0; connects < 2; { // it is alive and comes again
		if _, ok := (<-heard).(*packets.ConnectPacket); ok {
			connects++
		}
	}
}
