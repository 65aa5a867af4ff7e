package agent

import (
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/ratchetd/ratchet/executor"
)

// saysOnline reports whether a message says that the device is there.
func saysOnline(p string) bool { return strings.Contains(p, `"online":true`) }

func TestACleanEndLeavesTheDeviceOffline(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "")
	for round := range 10 {
		d.start()
		if b.await(stateTopic, saysOnline); round == 0 {
			d.online(b) // the others are stopped before their topics are quiet
		}
		d.stop()
		await(t, "the end of the connection", func() bool { return b.gone("gw-1") })
		if got := b.retained(stateTopic); !strings.Contains(got, `"online":false`) {
			t.Errorf("round %d: after a clean end the retained state is %s; said %q", round, got, b.saidOn(stateTopic))
		}
		b.forget()
	}
}

// The will of an earlier connection, which the broker sends late, is not the
// device's last word.
func TestALateWillIsCorrected(t *testing.T) {
	b := newBroker(t)
	newDevice(t, b, "").start().online(b)
	b.forget()
	b.retain(stateTopic, `{"online":false}`)
	b.await(stateTopic, saysOnline)
}

func TestALateWillInTheHandshakeIsCorrected(t *testing.T) {
	b := newBroker(t)
	var once sync.Once
	b.bend(&bend{publish: func(p packets.Packet) (packets.Packet, error) {
		if strings.HasSuffix(p.TopicName, "/facts") {
			once.Do(func() {
				if err := b.server.Publish(stateTopic, []byte(`{"online":false}`), true, 1); err != nil {
					t.Error(err)
				}
			})
		}
		return p, nil
	}})
	d := newDevice(t, b, "").start()
	b.await(stateTopic, func(p string) bool { return strings.Contains(p, "false") })
	await(t, "the device to be connected", d.connected)
	await(t, "the state to be corrected", func() bool { return saysOnline(b.retained(stateTopic)) })
}

// A configuration that is read again while a connection is being made counts for
// that connection too.
func TestAReloadDuringTheHandshakeCounts(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "")
	var n atomic.Int32
	b.bend(&bend{subscribed: func() {
		if n.Add(1) != 2 { // 1: the read-back of the new journal
			return
		}
		c := *d.config.Load()
		c.Groups = append(c.Groups, "newgroup")
		d.use(&c)
	}})
	d.start()
	b.offer("group/newgroup", doc("j1", filepath.Join(d.dir, "ran"), "a"))
	wantState(t, b.final("j1"), executor.Succeeded)
}

func TestASampleThatWaitedForTheFirstConnectionIsSentOnIt(t *testing.T) {
	b := newBroker(t)
	b.stop()
	d := newDevice(t, b, "[telemetry]\npublish = \"24h\"\n").start()
	await(t, "the first sample", func() bool { return d.health.Last() != nil })
	b.start()
	b.await("ratchet/v1/device/gw-1/health", func(p string) bool { return strings.HasPrefix(p, `{"device":"gw-1","time"`) })
}
