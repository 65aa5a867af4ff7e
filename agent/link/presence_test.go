package link

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/store"
)

// piped is a session whose broker acknowledges everything, and what it says.
func piped(t *testing.T) (*Session, <-chan string) {
	t.Helper()
	here, there := net.Pipe()
	said := make(chan string, 16)
	go func() {
		defer there.Close()
		for {
			p, err := packets.ReadPacket(there)
			if err != nil {
				return
			}
			switch p := p.(type) {
			case *packets.ConnectPacket:
				err = packets.NewControlPacket(packets.Connack).Write(there)
			case *packets.PublishPacket:
				said <- string(p.Payload)
				ack := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
				ack.MessageID = p.MessageID
				err = ack.Write(there)
			}
			if err != nil {
				return
			}
		}
	}()
	l := New()
	l.Config, l.Clock, l.Log = &config.Current{}, &clock.Clock{}, slog.New(slog.DiscardHandler)
	c := config.Default()
	c.Device = "gw-1"
	l.Config.Store(c)
	db, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	l.DB = db
	end, err := l.Pipe(here)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(end)
	return l.Session(), said
}

// A device that says that it leaves hears that too, and does not take it for the
// late will of an earlier session.
func TestWhoLeavesDoesNotCorrectItself(t *testing.T) {
	s, said := piped(t)
	will := dialect.Message{Topic: s.link.presence()[0].Topic, Payload: []byte(`{"online":false}`)}
	for _, step := range []struct {
		do   func()
		want string
	}{
		{func() { s.receive(t.Context(), will) }, `"online":true`},
		{s.depart, `"online":false`},
		{func() {
			s.receive(t.Context(), will)
			s.Send([]dialect.Message{{Topic: "behind", Payload: []byte("behind")}})
		}, "behind"},
	} {
		step.do()
		select {
		case got := <-said:
			if !strings.Contains(got, step.want) {
				t.Errorf("it said %s, want %s", got, step.want)
			}
		case <-time.After(time.Minute):
			t.Fatalf("it said nothing, want %s", step.want)
		}
	}
}

// Whoever was only told to stop says nothing of the connection: what is to be said
// last still goes over it.
func TestAStopFailsNoConnection(t *testing.T) {
	s, said := piped(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.settled = make(chan struct{})
	s.settle(ctx, false)
	select {
	case err := <-s.conn.lost:
		t.Errorf("the connection is given up: %v", err)
	default:
	}
	s.depart()
	select {
	case got := <-said:
		if !strings.Contains(got, `"online":false`) {
			t.Errorf("it said %s", got)
		}
	case <-time.After(time.Minute):
		t.Error("it left without a word")
	}
}
