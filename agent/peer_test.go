package agent

import (
	"strings"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/ratchetd/ratchet/agent/link/packet/packettest"
)

// Whatever a broker sends, the agent lives on, says what it was, and comes
// again. A SUBACK with a code too many made the library index past its end: the
// agent died at every start.
func TestNoPacketOfABrokerEndsTheAgent(t *testing.T) {
	t.Parallel()
	for _, attack := range packettest.Attacks {
		t.Run(attack.Name, func(t *testing.T) {
			t.Parallel()
			heard := make(chan packets.ControlPacket, 1<<10)
			rogue := packettest.Broker{Heard: heard, Answer: attack.Answer}
			d := newDevice(t, &broker{t: t, addr: rogue.Serve(t)}, "").start()
			await(t, "the error "+attack.Want, func() bool { return strings.Contains(d.link.Status().Err, attack.Want) })
			for connects := 0; connects < 2; {
				if _, ok := (<-heard).(*packets.ConnectPacket); ok {
					connects++
				}
			}
		})
	}
}
