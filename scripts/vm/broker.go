package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"sync"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/ratchetd/ratchet/scripts/vm/machine"
)

const device = "vm-1"

// A wired machine is one whose agent has a broker.
type wired struct {
	*broker
	machine *machine.Machine
}

// A status is what a device reports about a job.
type status struct {
	Job    string
	State  string
	Reason string
	Rev    int
	Step   *struct {
		Name     string
		Progress float64
	}
	Steps []struct {
		Name, State, Reason, Output string
		Attempts, Interrupted       int
	}
}

func (s status) final() bool {
	switch s.State {
	case "succeeded", "failed", "cancelled", "rejected":
		return true
	}
	return false
}

// output is what a step of a job has said.
func (s status) output(step string) string {
	for _, each := range s.Steps {
		if each.Name == step {
			return each.Output
		}
	}
	return ""
}

// A broker is the fleet's, here on the host: a guest reaches it as 10.0.2.2.
type broker struct {
	*mqtt.Server
	port int

	mu    sync.Mutex
	last  map[string]status
	final map[string]chan struct{} // closed once the job is final
	// Two final reports of one job that differ: it must be empty.
	changed []string
}

func startBroker() (*broker, error) {
	s := mqtt.New(&mqtt.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)})
	if err := s.AddHook(new(auth.AllowHook), nil); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	if err := s.AddListener(listeners.NewNet("tcp", listener)); err != nil {
		return nil, err
	}
	b := &broker{Server: s, port: listener.Addr().(*net.TCPAddr).Port, last: map[string]status{}, final: map[string]chan struct{}{}}
	if err := s.Subscribe("ratchet/v1/device/+/jobs/+", 1, b.receive); err != nil {
		return nil, err
	}
	return b, s.Serve()
}

func (b *broker) receive(_ *mqtt.Client, _ packets.Subscription, p packets.Packet) {
	var s status
	if json.Unmarshal(p.Payload, &s) != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.last[s.Job]
	if before.final() && s.State != before.State {
		b.changed = append(b.changed, fmt.Sprintf("%s: %s, then %s", s.Job, before.State, s.State))
	}
	if s.Rev < before.Rev {
		return
	}
	b.last[s.Job] = s
	if c := b.final[s.Job]; c != nil && s.final() && !before.final() {
		close(c)
	}
}

// offer offers the device a job; what it returns is closed once it is final.
func (b *broker) offer(job string, steps []any) (<-chan struct{}, error) {
	doc, err := json.Marshal(map[string]any{"id": job, "steps": steps})
	if err != nil {
		return nil, err
	}
	return b.announce(job, doc)
}

// announce publishes the offer of a job, as offer does.
func (b *broker) announce(job string, payload []byte) (<-chan struct{}, error) {
	c := make(chan struct{})
	b.mu.Lock()
	b.final[job] = c
	b.mu.Unlock()
	return c, b.Publish("ratchet/v1/jobs/device/"+device+"/"+job, payload, true, 1)
}

// report is the newest one of the job.
func (b *broker) report(job string) status {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last[job]
}

// run has the machine do a job without a cut, and returns the report.
func (b *broker) run(ctx context.Context, m *machine.Machine, job string, steps ...any) (status, error) {
	ended, err := b.offer(job, steps)
	if err != nil {
		return status{}, err
	}
	_, err = m.Until(ctx, ended, machine.Never)
	return b.report(job), err
}
