package agent

import (
	"strings"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/ratchetd/ratchet/agent/link"
)

func TestARightToSpeakThatIsMissingIsNamed(t *testing.T) {
	b := newBroker(t)
	// It acknowledges what devices say and drops it, as mosquitto does where its
	// access list has no right to write.
	b.bend(&bend{publish: func(p packets.Packet) (packets.Packet, error) {
		if strings.Contains(p.TopicName, "/device/gw-1/") && !strings.Contains(p.TopicName, "/jobs/device/") {
			return p, packets.CodeSuccessIgnore
		}
		return p, nil
	}})
	var log spill
	d := newDevice(t, b, "")
	d.log = &log
	d.start()
	b.offer("device/gw-1", doc("j1", d.dir+"/ran", "a"))
	await(t, "the job to be done all the same", func() bool { return read(t, d.dir+"/ran") == "a" })
	await(t, "the missing right to be named", func() bool { return strings.Contains(log.String(), "the broker drops what this device says") })
	if got := d.status().Link.String(); !strings.HasPrefix(got, "connected for ") || !strings.HasSuffix(got, ", but "+link.Unheard) {
		t.Errorf("status: got %q", got)
	}
	if !strings.Contains(log.String(), "topic=ratchet/v1/device/gw-1/state") {
		t.Errorf("the topic was not named:\n%s", log.String())
	}
}

func TestADeviceThatHearsItselfMissesNothing(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	await(t, "the device to hear itself", func() bool {
		s := d.link.Session()
		return s != nil && s.Heard()
	})
	if got := d.status().Link; !got.Connected || got.Err != "" {
		t.Errorf("status: got %+v", got)
	}
}
