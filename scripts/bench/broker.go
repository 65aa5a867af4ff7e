package main

import (
	"crypto/tls"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/ratchetd/ratchet/scripts/authority"
)

// A broker is an embedded one with TLS that asks for client certificates. It
// hands every status that a device reports to whoever waits for it.
type broker struct {
	*mqtt.Server
	addr string

	mu      sync.Mutex
	waiting map[string]chan status // by device and job
}

// status is the part of a job's status that matters here.
type status struct {
	Job    string `json:"job"`
	Device string `json:"device"`
	State  string `json:"state"`
	Reason string `json:"reason"`
	at     time.Time
}

func (s status) final() bool {
	switch s.State {
	case "succeeded", "failed", "cancelled", "rejected":
		return true
	}
	return false
}

func startBroker(dir string) (*broker, error) {
	if err := authority.Write(dir, "bench"); err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "broker.crt"), filepath.Join(dir, "broker.key"))
	if err != nil {
		return nil, err
	}
	pool, err := authority.Pool(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return nil, err
	}
	s := mqtt.New(&mqtt.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)})
	if err := s.AddHook(new(auth.AllowHook), nil); err != nil {
		return nil, err
	}
	l := listeners.NewTCP(listeners.Config{ID: "tls", Address: "127.0.0.1:0", TLSConfig: &tls.Config{
		Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
	}})
	if err := s.AddListener(l); err != nil {
		return nil, err
	}
	b := &broker{Server: s, addr: l.Address(), waiting: map[string]chan status{}}
	if err := s.Subscribe("ratchet/v1/device/+/jobs/+", 1, b.receive); err != nil {
		return nil, err
	}
	return b, s.Serve()
}

func (b *broker) receive(_ *mqtt.Client, _ packets.Subscription, p packets.Packet) {
	s := status{at: time.Now()}
	if json.Unmarshal(p.Payload, &s) != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.waiting[s.Device+"/"+s.Job]; c != nil {
		c <- s
	}
}

// follow returns the channel on which the job's statuses come from now on. It
// is wide enough for every status of a job of 64 steps.
func (b *broker) follow(device, job string) <-chan status {
	c := make(chan status, 512)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting[device+"/"+job] = c
	return c
}

// offer publishes a job of the steps, each one a step's JSON without its name.
func (b *broker) offer(device, job string, steps ...string) error {
	doc := `{"id":"` + job + `","steps":[` + strings.Join(named(steps), ",") + `]}`
	return b.Publish("ratchet/v1/jobs/device/"+device+"/"+job, []byte(doc), true, 1)
}

func (b *broker) cancel(device, job string) error {
	return b.Publish("ratchet/v1/jobs/device/"+device+"/"+job, []byte(`{"id":"`+job+`","cancel":true}`), true, 1)
}
