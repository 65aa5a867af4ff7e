package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/ratchetd/ratchet/agent/dialect/azure"
	"github.com/ratchetd/ratchet/agent/link/packet/packettest"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/scripts/fakehub/hub"
)

func TestTheStatusOfABusyDeviceFitsAnAnswer(t *testing.T) {
	c := newCloud(t, &hub.Hub{})
	c.device("", "").start()
	var steps []any
	for i := range 40 {
		steps = append(steps, map[string]any{"name": fmt.Sprint(strings.Repeat("n", 50), i), "command": map[string]any{"argv": []string{"true"}}})
	}
	for i := range 36 {
		job := map[string]any{"id": fmt.Sprint("later", i), "notBefore": time.Now().Add(time.Hour).UTC().Format(time.RFC3339), "steps": steps}
		if got, o := c.call("job", job); got != 202 {
			t.Fatalf("got %d %+v, want it taken", got, o)
		}
	}
	if got, o := c.call("status", nil); got != 200 {
		t.Errorf("got %d %+v, want the status", got, o)
	}
}

// A hub may call as often as it likes, and each call may wait: beyond a few the
// caller hears at once that the device is busy.
func TestAFloodOfCallsIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	var busy atomic.Int32
	rogue := packettest.Broker{Answer: func(p packets.ControlPacket) ([]byte, bool) {
		switch p := p.(type) {
		case *packets.SubscribePacket: // the twin never comes, so each call waits for it
			all := packettest.Answer(p)
			for i := range 100 {
				m := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
				m.TopicName, m.Payload = fmt.Sprintf("$iothub/methods/POST/status/?$rid=%d", i), make([]byte, 10_000)
				all = append(all, packettest.Raw(m)...)
			}
			return all, true
		case *packets.PublishPacket:
			if strings.HasPrefix(p.TopicName, "$iothub/methods/res/429/") {
				busy.Add(1)
			}
		}
		return nil, false
	}}
	c := &cloud{Hub: &hub.Hub{Host: "fake.azure-devices.net"}, t: t}
	d := c.device("", "")
	d.write("ratchet.toml", strings.Replace(readAll(t, filepath.Join(d.dir, "ratchet.toml")), "tcp://", "tcp://"+rogue.Serve(t), 1))
	d.start()
	await(t, "a call to be refused", func() bool { return busy.Load() > 0 })
}

func TestAHubsDeviceMayBeNamedByItsMAC(t *testing.T) {
	const id = "00:1A:2B:3C:4D:5E"
	c := newCloud(t, &hub.Hub{})
	c.AddDevice(id, []byte("key"))
	d := c.device("", "")
	settings, err := os.ReadFile(filepath.Join(d.dir, "ratchet.toml"))
	if err != nil {
		t.Fatal(err)
	}
	d.write("ratchet.toml", strings.Replace(string(settings), "gw-1", id, 1))
	document := string(text(t, doc("mac", filepath.Join(d.dir, "ran"), "a")))
	patch := text(t, map[string]any{"jobs": map[string]any{"mac": map[string]any{"t": azure.Pieces(document)}}})
	if err := c.Desire(id, patch); err != nil {
		t.Fatal(err)
	}
	d.start()
	c.until("its outcome", func() bool {
		jobs, _ := c.Twin(id).Reported["jobs"].(map[string]any)
		job, _ := jobs["mac"].(map[string]any)
		return job["state"] == string(executor.Succeeded)
	})
}
