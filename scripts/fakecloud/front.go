// Package fakecloud is what the fakes of two clouds share: a broker in this
// process that devices connect to, a clock that ticks, and why connections were
// ended. What a cloud makes of a message is not its matter.
package fakecloud

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
)

// A Front is where devices connect to a fake cloud. It can be opened again
// after Close, and then knows what it knew.
type Front struct {
	// Session is for how long an unclean session of a device that is away is kept,
	// in seconds; 0: as long as the front is open.
	Session uint32

	server  *mochi.Server
	address string
	done    chan struct{} // closed by Close
	idle    chan struct{} // closed when tick is called no more

	ids atomic.Uint32 // of messages with QoS 1

	mu    sync.Mutex
	drops []string
}

// Open lets devices connect by MQTT, under the rules, at an address; an empty
// one is a free port of the loopback interface, and without config there is no
// TLS. More listeners may be given. Every 20 ms until Close it calls tick.
func (f *Front) Open(address string, config *tls.Config, rules mochi.Hook, tick func(), more ...listeners.Listener) error {
	if address == "" {
		address = "127.0.0.1:0"
	}
	options := mochi.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler), Capabilities: mochi.NewDefaultServerCapabilities()}
	if f.Session > 0 {
		options.Capabilities.MaximumSessionExpiryInterval = f.Session
	}
	f.server = mochi.New(&options)
	tcp := listeners.NewTCP(listeners.Config{ID: "tcp", Address: address, TLSConfig: config})
	err := f.server.AddHook(rules, nil)
	for _, l := range append(more, tcp) {
		err = errors.Join(err, f.server.AddListener(l))
	}
	if err == nil {
		err = f.server.Serve()
	}
	if err != nil {
		return err
	}
	f.address = tcp.Address()
	f.done, f.idle = make(chan struct{}), make(chan struct{})
	go f.beat(tick)
	return nil
}

func (f *Front) beat(tick func()) {
	defer close(f.idle)
	for {
		select {
		case <-f.done:
			return
		case <-time.After(20 * time.Millisecond):
			tick()
		}
	}
}

// Close ends all connections.
func (f *Front) Close() error {
	close(f.done)
	<-f.idle
	return f.server.Close()
}

// Address is where devices connect to.
func (f *Front) Address() string { return f.address }

// Broker is what devices are connected to.
func (f *Front) Broker() *mochi.Server { return f.server }

// Client is the device's connection, or nil.
func (f *Front) Client(id string) *mochi.Client {
	cl, ok := f.server.Clients.Get(id)
	if !ok || cl.Closed() {
		return nil
	}
	return cl
}

// Drop ends the device's connection, if there is one. The device does not learn
// why; Drops does.
func (f *Front) Drop(id, why string) {
	if cl := f.Client(id); cl != nil {
		f.End(cl, why)
	}
}

// End ends a connection.
func (f *Front) End(cl *mochi.Client, why string) {
	f.Note(cl.ID, why)
	cl.Stop(errors.New(why))
}

// Note remembers what was wrong with a device, for Drops.
func (f *Front) Note(id, why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drops = append(f.drops, id+": "+why)
}

// Drops lists why connections were ended or refused, oldest first.
func (f *Front) Drops() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.drops)
}
