package link

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/link/packet/packettest"
)

// Whatever a broker sends, the tool lives on, and its command ends with an
// error that says what it was. A SUBACK with a code too many made the library
// index past its end.
func TestNoPacketOfABrokerEndsTheTool(t *testing.T) {
	for _, attack := range packettest.Attacks {
		t.Run(attack.Name, func(t *testing.T) {
			t.Parallel()
			rogue := packettest.Broker{Answer: attack.Answer}
			c, err := Connect(t.Context(), Options{Broker: "tcp://" + rogue.Serve(t), Root: "r"})
			if err == nil {
				defer c.Close()
				err = c.Subscribe(t.Context(), "r/a")
			}
			if err == nil {
				err = c.Publish(t.Context(), dialect.Topic{Device: "gw", Part: "state"}, nil)
			}
			if err == nil {
				select {
				case err = <-c.Lost():
				case <-time.After(time.Minute):
				}
			}
			if err == nil || !strings.Contains(err.Error(), attack.Want) {
				t.Errorf("got %v, want %q", err, attack.Want)
			}
		})
	}
}

// While a command waits for something else nobody reads what comes: a broker may
// not fill the tool's memory then.
func TestTheFeedIsBoundedInBytes(t *testing.T) {
	const n, size = 200, 200_000
	m := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	m.TopicName, m.Payload = "r/jobs/all/j", make([]byte, size)
	rogue := packettest.Broker{Answer: func(p packets.ControlPacket) ([]byte, bool) {
		ask, ok := p.(*packets.SubscribePacket)
		if !ok {
			return nil, false
		}
		return append(packettest.Answer(ask), bytes.Repeat(packettest.Raw(m), n)...), true
	}}
	c, err := Connect(t.Context(), Options{Broker: "tcp://" + rogue.Serve(t), Root: "r"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Subscribe(t.Context(), "r/jobs/all/+"); err != nil {
		t.Fatal(err)
	}
	for range n {
		<-c.Feed()
		time.Sleep(5 * time.Millisecond) // for those that come too early; a slow machine only lets a fault pass
		if waiting := len(c.feed.waiting) * size; waiting > maxWaiting {
			t.Fatalf("%d bytes wait", waiting)
		}
	}
}

// A broker that goes on and on with what is retained is not read for ever.
func TestReadingComesToAnEnd(t *testing.T) {
	m := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	m.TopicName, m.Retain = "r/jobs/all/j", true
	rogue := packettest.Broker{Answer: func(p packets.ControlPacket) ([]byte, bool) {
		ask, ok := p.(*packets.SubscribePacket)
		if !ok {
			return nil, false
		}
		return append(packettest.Answer(ask), bytes.Repeat(packettest.Raw(m), 100_000)...), true
	}}
	c, err := Connect(t.Context(), Options{Broker: "tcp://" + rogue.Serve(t), Root: "r"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.limit = time.Millisecond
	if err := c.ReadRetained(t.Context(), func(Message) {}, "r/jobs/all/+"); err == nil || !strings.Contains(err.Error(), "does not come to an end") {
		t.Errorf("got %v", err)
	}
}

// A command that reads what is retained must not take half of it for all.
func TestWhatIsCutShortByABrokerIsNoAnswer(t *testing.T) {
	rogue := packettest.Broker{Answer: func(p packets.ControlPacket) ([]byte, bool) {
		ask, ok := p.(*packets.SubscribePacket)
		if !ok {
			return nil, false
		}
		return append(packettest.Answer(ask), 0x34, 6, 0, 1, 't', 0, 1, 'x'), true
	}}
	c, err := Connect(t.Context(), Options{Broker: "tcp://" + rogue.Serve(t), Root: "r"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const want = "QoS 2"
	if err := c.ReadRetained(t.Context(), func(Message) {}, "r/a"); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}
