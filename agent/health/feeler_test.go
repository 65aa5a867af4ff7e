package health_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/health"
	"github.com/ratchetd/ratchet/agent/link"
	"github.com/ratchetd/ratchet/store"
	"github.com/ratchetd/ratchet/telemetry"
)

// A feeler is a health of which all works, in a bubble of virtual time: its broker
// is at the other end of a pipe.
type feeler struct {
	*health.Health
	t    *testing.T
	stop func()
	end  func() // of the connection; nil: there is none

	mu   sync.Mutex
	got  [][]time.Time // of the samples in each message
	deaf bool          // the broker acknowledges nothing
}

// feel opens one in dir, which samples and publishes every five minutes, and spills
// every fifteen.
func feel(t *testing.T, dir string) *feeler {
	t.Helper()
	path := filepath.Join(dir, "ratchet.toml")
	text := "device = \"gw-1\"\nstate = \"state\"\n[link]\nbroker = \"tcp://192.0.2.1:1\"\n[telemetry]\nevery = \"5m\"\nspill = \"15m\"\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(c.State, 0o700); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	h := health.New()
	h.Config, h.Clock, h.Link, h.Log = &config.Current{}, &clock.Clock{}, link.New(), log
	h.Config.Store(c)
	h.Link.Config, h.Link.Clock, h.Link.Log = h.Config, h.Clock, log
	h.Board = &telemetry.Sampler{Device: c.Device, Log: log}
	if h.DB, err = store.Open(c.State, store.Options{Log: log, Now: h.Clock.Now}); err != nil {
		t.Fatal(err)
	}
	h.Clock.Start(h.DB.Floor())
	if err := h.Restore(); err != nil {
		t.Fatal(err)
	}
	f := &feeler{Health: h, t: t}
	ctx, cancel := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	loops.Go(func() { _ = h.Watch(ctx, func(context.Context, telemetry.Sample) {}) })
	loops.Go(func() { _ = h.Run(ctx) })
	f.stop = sync.OnceFunc(func() {
		f.down()
		cancel()
		loops.Wait()
		h.DB.Close()
	})
	return f
}

// up connects, and does of what a session does that which concerns health.
func (f *feeler) up() {
	f.t.Helper()
	here, there := net.Pipe()
	go f.serve(there)
	end, err := f.Link.Pipe(here)
	if err != nil {
		f.t.Fatal(err)
	}
	f.end = end
	f.Retry()
}

// down ends the connection, if there is one.
func (f *feeler) down() {
	if f.end != nil {
		f.end()
		f.end = nil
	}
}

// serve is the broker: it takes what comes, and acknowledges it.
func (f *feeler) serve(c net.Conn) {
	defer c.Close()
	for {
		p, err := packets.ReadPacket(c)
		if err != nil {
			return
		}
		var answer packets.ControlPacket
		switch p := p.(type) {
		case *packets.ConnectPacket:
			answer = packets.NewControlPacket(packets.Connack)
		case *packets.PingreqPacket:
			answer = packets.NewControlPacket(packets.Pingresp)
		case *packets.PublishPacket:
			if !f.take(p) {
				continue
			}
			ack := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
			ack.MessageID = p.MessageID
			answer = ack
		}
		if answer == nil || answer.Write(c) != nil {
			return
		}
	}
}

// take notes the samples of a message; false: the broker acknowledges nothing.
func (f *feeler) take(p *packets.PublishPacket) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.deaf {
		return false
	}
	text := p.Payload
	if text[0] != '[' {
		text = append(append([]byte("["), text...), ']')
	}
	var some []telemetry.Sample
	if err := json.Unmarshal(text, &some); err != nil {
		f.t.Error(err)
	}
	var times []time.Time
	for _, one := range some {
		times = append(times, one.Time)
	}
	f.got = append(f.got, times)
	return true
}

// times are those of all samples that came, in order, such as "00:10 00:00+00:05".
func (f *feeler) times() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, message := range f.got {
		var some []string
		for _, at := range message {
			text := "-"
			if !at.IsZero() {
				text = at.Format("15:04")
			}
			some = append(some, text)
		}
		all = append(all, strings.Join(some, "+"))
	}
	return strings.Join(all, " ")
}

// taken are the times of all samples that came.
func (f *feeler) taken() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Concat(f.got...)
}

// setDeaf has the broker acknowledge nothing, or everything again.
func (f *feeler) setDeaf(deaf bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deaf = deaf
}

// want fails the test unless samples of these times came; as times has them.
func (f *feeler) want(times string) {
	f.t.Helper()
	if got := f.times(); got != times {
		f.t.Errorf("got %q, want %q", got, times)
	}
}
