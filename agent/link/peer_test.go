package link

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/link/packet/packettest"
	"github.com/ratchetd/ratchet/store"
)

// A fragile handler panics over the job "poison", and when it is told to.
type fragile struct {
	handled  chan string // ids of offers
	settling atomic.Bool // the next Settled panics
	settled  chan struct{}
}

func (f *fragile) Handle(_ context.Context, _ *Session, e dialect.Event) {
	o, ok := e.(dialect.Offer)
	if !ok {
		return
	}
	if o.ID == "poison" {
		panic("poison")
	}
	f.handled <- o.ID
}

func (f *fragile) Settled(map[string]bool) {
	if f.settling.Swap(false) {
		panic("unsettled")
	}
	f.settled <- struct{}{}
}

func (f *fragile) Remember([]dialect.JobStatus) error { return nil }
func (f *fragile) Facts() []byte                      { return []byte("{}") }
func (f *fragile) Hold()                              {}
func (f *fragile) Connected(bool)                     {}

// linkTo is a link to that broker, not running.
func linkTo(t *testing.T, broker string, h Handler, log io.Writer) *Link {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "ratchet.toml")
	text := fmt.Sprintf("device = \"gw-1\"\nstate = %q\n[link]\nbroker = %q\nspread = \"0s\"\n", filepath.Join(dir, "state"), broker)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(c.State, 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(c.State, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := db.ReadBack(nil); err != nil {
		t.Fatal(err)
	}
	l := New()
	l.Config, l.Clock, l.Handler, l.DB, l.Log = new(config.Current), new(clock.Clock), h, db, slog.New(slog.NewTextHandler(log, nil))
	l.Config.Store(c)
	l.Raise = func(name, _, why string) { t.Errorf("raised %s: %s", name, why) }
	return l
}

// run runs l until the test ends.
func run(t *testing.T, l *Link) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func offer(id uint16, name string) []byte {
	p := mqtt.NewControlPacket(mqtt.Publish).(*mqtt.PublishPacket)
	p.Qos, p.MessageID, p.TopicName, p.Payload = 1, id, "ratchet/v1/jobs/all/"+name, []byte(`{"id":"`+name+`","steps":[]}`)
	return packettest.Raw(p)
}

// A message over which the agent panics is logged and acknowledged: it does not
// keep the next from being read, and does not come again and again. A panic
// elsewhere ends the session, and the next one is made.
func TestAPanicEndsOneMessageOrOneSession(t *testing.T) {
	t.Parallel()
	heard := make(chan mqtt.ControlPacket, 1<<10)
	b := packettest.Broker{Heard: heard, Answer: func(p mqtt.ControlPacket) ([]byte, bool) {
		s, ok := p.(*mqtt.SubscribePacket)
		if !ok {
			return nil, false
		}
		return append(packettest.Answer(s), append(offer(7, "poison"), offer(8, "good")...)...), true
	}}
	f := &fragile{handled: make(chan string, 16), settled: make(chan struct{}, 16)}
	f.settling.Store(true)
	var log logged
	l := linkTo(t, "tcp://"+b.Serve(t), f, &log)
	run(t, l)
	if id := <-f.handled; id != "good" {
		t.Fatalf("got %s", id)
	}
	acked := map[uint16]bool{}
	for connects := 0; connects < 2; {
		switch p := (<-heard).(type) {
		case *mqtt.PubackPacket:
			acked[p.MessageID] = true
		case *mqtt.ConnectPacket:
			connects++
		}
	}
	<-f.settled
	if !acked[7] || !acked[8] {
		t.Errorf("got %v, want both acknowledged", acked)
	}
	for _, want := range []string{"err=poison", "err=unsettled", "peer_test.go", "topic=ratchet/v1/jobs/all/poison"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%q was not logged: %s", want, log.String())
		}
	}
}

// What waits to be decided is bounded in bytes: the broker waits, too.
func TestTheInboxIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	const n, size = 40, 200_000
	b := packettest.Broker{Answer: func(p mqtt.ControlPacket) ([]byte, bool) {
		c, ok := p.(*mqtt.ConnectPacket)
		if !ok {
			return nil, false
		}
		all := packettest.Answer(c)
		for i := range n {
			m := mqtt.NewControlPacket(mqtt.Publish).(*mqtt.PublishPacket)
			m.Qos, m.MessageID, m.TopicName, m.Payload = byte(i%2), uint16(i+1), "t", make([]byte, size)
			all = append(all, packettest.Raw(m)...)
		}
		return all, true
	}}
	l := linkTo(t, "tcp://"+b.Serve(t), &fragile{}, io.Discard)
	inbox := make(chan inbound, n)
	c, err := dial(t.Context(), l.Config.Load(), opening{}, l.Clock.Now, inbox)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for range n {
		m := <-inbox
		time.Sleep(5 * time.Millisecond) // for those that come too early; a slow machine only lets a fault pass
		if waiting := (1 + len(inbox)) * size; waiting > maxWaiting {
			t.Fatalf("%d bytes wait", waiting)
		}
		m.ack()
	}
}

// A broker that acknowledges nothing fills neither the memory, however often it says
// that the device is away, nor does it hold the agent up when that is to stop.
func TestABrokerThatAcknowledgesNothingHoldsNothingUp(t *testing.T) {
	t.Parallel()
	away := mqtt.NewControlPacket(mqtt.Publish).(*mqtt.PublishPacket)
	away.TopicName, away.Payload = "ratchet/v1/device/gw-1/state", []byte(`{"online":false}`)
	const n = 10_000
	var said atomic.Int32
	full := make(chan struct{})
	b := packettest.Broker{Answer: func(p mqtt.ControlPacket) ([]byte, bool) {
		if _, ok := p.(*mqtt.PublishPacket); !ok {
			return nil, false
		}
		switch said.Add(1) {
		case 1: // its state
			return nil, false
		case 2: // its facts
			return append(packettest.Answer(p), bytes.Repeat(packettest.Raw(away), n)...), true
		case 400:
			close(full)
		}
		return nil, true
	}}
	l := linkTo(t, "tcp://"+b.Serve(t), &fragile{settled: make(chan struct{}, 16)}, io.Discard)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	<-full
	time.Sleep(100 * time.Millisecond) // for what comes too much; a slow machine only lets a fault pass
	if got := said.Load(); got > n/10 {
		t.Errorf("%d messages were sent without an answer", got)
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("the link has not ended")
	}
}
