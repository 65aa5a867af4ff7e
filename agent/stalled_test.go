package agent

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/ratchetd/ratchet/executor"
)

// A forgetful broker, once, takes five seconds to pass a message on and acknowledge it,
// and does not retain it: so does NATS while it elects whoever stores that.
type forgetful struct {
	mochi.HookBase
	forgets func(packets.Packet) bool
	done    bool // of the one client's goroutine
}

func (*forgetful) ID() string           { return "forgetful" }
func (*forgetful) Provides(b byte) bool { return b == mochi.OnPublish }
func (f *forgetful) OnPublish(c *mochi.Client, p packets.Packet) (packets.Packet, error) {
	if !c.Net.Inline && !f.done && f.forgets(p) {
		f.done = true
		time.Sleep(5 * time.Second)
		p.FixedHeader.Retain = false
	}
	return p, nil
}

// What such a broker acknowledges is sent again on the same connection, or how the
// job ended would be hidden until the next one.
func TestWhatAStalledBrokerAcknowledgesIsSentAgain(t *testing.T) {
	b := newBroker(t)
	err := b.server.AddHook(&forgetful{forgets: func(p packets.Packet) bool {
		return strings.HasSuffix(p.TopicName, "/jobs/j1") && statusOf(string(p.Payload)).State.Final()
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := newDevice(t, b, "").start().online(b)
	b.offer("device/gw-1", doc("j1", filepath.Join(d.dir, "ran"), "a"))
	await(t, "the end of the job where it is retained", func() bool {
		return statusOf(b.retained(jobsTopic+"j1")).State == executor.Succeeded
	})
	if n := b.count(jobsTopic + "j1"); n > 5 {
		t.Errorf("%d statuses of one job", n)
	}
}
