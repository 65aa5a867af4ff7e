package agent

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/ratchetd/ratchet/agent/link"
	"github.com/ratchetd/ratchet/executor"
)

// talkative is a job whose three steps say 4 KB each: a status of 13 KB.
func talkative(id string) map[string]any {
	var steps []any
	for _, name := range []string{"a", "b", "c"} {
		steps = append(steps, shell(name, "head -c 4000 /dev/zero | tr '\\0' x"))
	}
	return map[string]any{"id": id, "steps": steps}
}

// A refuser is a broker's hook that ends the connection over a message.
type refuser struct {
	mochi.HookBase
	refuse func(packets.Packet) bool
}

func (*refuser) ID() string           { return "refuser" }
func (*refuser) Provides(b byte) bool { return b == mochi.OnPacketRead }
func (r *refuser) OnPacketRead(c *mochi.Client, p packets.Packet) (packets.Packet, error) {
	if !c.Net.Inline && p.FixedHeader.Type == packets.Publish && r.refuse(p) {
		c.Stop(errors.New("the test hangs up on this message"))
		return p, packets.ErrRejectPacket
	}
	return p, nil
}

// hangsUp has the broker end the connection over what is to be refused.
func (b *broker) hangsUp(refuse func(packets.Packet) bool) {
	b.t.Helper()
	if err := b.server.AddHook(&refuser{refuse: refuse}, nil); err != nil {
		b.t.Fatal(err)
	}
}

// A status that is too long for the broker is cut until it is taken. What is behind
// it is told meanwhile, and no other device is blamed.
func TestAStatusThatTheBrokerDoesNotTakeIsCut(t *testing.T) {
	for name, most := range map[string]int{"shorter": 10240, "to its last line": 400} {
		t.Run(name, func(t *testing.T) {
			b := newBroker(t)
			var hangs atomic.Int32
			b.hangsUp(func(p packets.Packet) bool {
				over := strings.Contains(p.TopicName, "/jobs/talk") && len(p.Payload) > most
				if over {
					hangs.Add(1)
				}
				return over
			})
			d := newDevice(t, b, "").start().online(b)
			b.offer("device/gw-1", talkative("talk"))
			s := b.final("talk")
			if wantState(t, s, executor.Succeeded); s.Rev == 0 || s.Job != "talk" {
				t.Errorf("got %+v", s)
			}
			b.offer("device/gw-1", doc("behind", filepath.Join(d.dir, "ran"), "a"))
			wantState(t, b.final("behind"), executor.Succeeded)
			a := b.await(alertsTopic+"refused-by-broker", raised)
			if !strings.Contains(a, "jobs/talk (") || !strings.Contains(a, " bytes)") {
				t.Errorf("the alert names neither topic nor size: %s", a)
			}
			if d.alerted("duplicate-id") {
				t.Error("another device is blamed")
			}
			if n := hangs.Load(); n > 6 {
				t.Errorf("it hung up %d times", n)
			}
		})
	}
}

// What a broker hangs up on, and nobody misses, is dropped.
func TestHealthThatTheBrokerDoesNotTakeIsDropped(t *testing.T) {
	b := newBroker(t)
	b.hangsUp(func(p packets.Packet) bool { return strings.HasSuffix(p.TopicName, "/health") })
	d := newDevice(t, b, "[telemetry]\nevery = \"1s\"\npublish = \"1s\"").start()
	b.await(alertsTopic+"refused-by-broker", raised)
	await(t, "a connection that lasts", func() bool { return d.link.Status().Connected && d.link.Status().For > 3 })
	b.offer("device/gw-1", doc("j1", filepath.Join(d.dir, "ran"), "a"))
	wantState(t, b.final("j1"), executor.Succeeded)
}

// The real one, with the limit of which people report.
func TestMosquittoWithASmallPacketSize(t *testing.T) {
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		t.Skip("mosquitto is not installed")
	}
	b := newBroker(t)
	b.stop() // its address is free now
	d := newDevice(t, b, "")
	port := b.addr[strings.LastIndex(b.addr, ":")+1:]
	d.write("mosquitto.conf", fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous true\nmax_packet_size 10240\nuser root\n", port))
	m := exec.Command(path, "-c", filepath.Join(d.dir, "mosquitto.conf"))
	m.Stderr = os.Stderr
	if err := m.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Process.Kill(); _ = m.Wait() })
	d.start()
	await(t, "a connection", d.connected)
	lines, err := link.Try(patient(t), d.configured())
	if err == nil || !strings.Contains(err.Error(), "max_packet_size") || !strings.Contains(err.Error(), "logs/check") {
		t.Errorf("check --connect: got %q, %v; want what mosquitto hangs up on", lines, err)
	}
	for _, job := range []map[string]any{talkative("talk"), doc("behind", filepath.Join(d.dir, "ran"), "a")} {
		d.submit(job)
		await(t, "the end of "+job["id"].(string), func() bool {
			untold, err := d.db.Untold()
			r, _, recordErr := d.db.Record(job["id"].(string))
			return err == nil && recordErr == nil && r.State.Final() && len(untold) == 0
		})
	}
	if !d.alerted("refused-by-broker") || d.alerted("duplicate-id") {
		t.Errorf("refused-by-broker: %v, duplicate-id: %v; want the first alone", d.alerted("refused-by-broker"), d.alerted("duplicate-id"))
	}
}
