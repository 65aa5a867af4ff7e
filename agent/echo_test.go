package agent

import (
	"strings"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/ratchetd/ratchet/agent/link"
)

// A deaf broker acknowledges what devices say and drops it, as mosquitto does
// where its access list has no right to write.
type deaf struct{ mochi.HookBase }

func (*deaf) ID() string           { return "deaf" }
func (*deaf) Provides(b byte) bool { return b == mochi.OnPublish }

func (*deaf) OnPublish(_ *mochi.Client, p packets.Packet) (packets.Packet, error) {
	if strings.Contains(p.TopicName, "/device/gw-1/") && !strings.Contains(p.TopicName, "/jobs/device/") {
		return p, packets.CodeSuccessIgnore
	}
	return p, nil
}

func TestARightToSpeakThatIsMissingIsNamed(t *testing.T) {
	b := newBroker(t)
	if err := b.server.AddHook(new(deaf), nil); err != nil {
		t.Fatal(err)
	}
	var log spill
	d := newDevice(t, b, "")
	d.log = &log
	d.start()
	b.offer("device/gw-1", doc("j1", d.dir+"/ran", "a"))
	await(t, "the job to be done all the same", func() bool { return read(t, d.dir+"/ran") == "a" })
	for end := time.Now().Add(time.Minute); !strings.Contains(log.String(), "the broker drops what this device says"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the missing right was not named:\n%s", log.String())
		}
	}
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
