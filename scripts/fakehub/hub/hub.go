// Package hub is a fake of Azure IoT Hub over an MQTT broker in this process,
// for tests: device twins, direct methods, messages both ways, tokens that
// expire, hub jobs and automatic configurations. It follows Microsoft's
// documentation and not our client; each rule names the page that it is from.
// It is no broker for real devices: nothing of it is kept.
//
// The pages, all on learn.microsoft.com unless they say otherwise:
//
//	[mqtt]    iot/iot-mqtt-connect-to-iot-hub
//	[twins]   iot-hub/iot-hub-devguide-device-twins
//	[methods] iot-hub/iot-hub-devguide-direct-methods
//	[c2d]     iot-hub/iot-hub-devguide-messages-c2d
//	[d2c]     iot-hub/iot-hub-devguide-messages-d2c
//	[quotas]  iot-hub/iot-hub-devguide-quotas-throttling
//	[jobs]    iot-hub/iot-hub-devguide-jobs
//	[auto]    iot-hub/iot-hub-automatic-device-management
//	[query]   iot-hub/iot-hub-devguide-query-language
//	[sas]     iot-hub/authenticate-authorize-sas
//	[sdk]     github.com/Azure/azure-sdk-for-c, az_iot_hub_client*
package hub

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"sync"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
)

// A Hub is one fake hub. Set its fields before Start.
type Hub struct {
	Host   string           // of user names and tokens, such as fake.azure-devices.net
	Listen string           // address for MQTT; empty: a free port of the loopback interface
	Web    string           // address for MQTT over websockets; empty: none
	TLS    *tls.Config      // nil: both without TLS
	Now    func() time.Time // its own clock
	Basic  bool             // a hub of the basic tier, which has no twins and no methods [quotas]
	Fate   func(topic string) Fate

	server  *mochi.Server
	done    chan struct{}
	mu      sync.Mutex
	devices map[string]*device
	configs map[string]Configuration
	jobs    map[string]*Job
	rids    int
	waiting map[string]chan answer // by rid of a method
	drops   []string
}

// A device is what the hub knows of one.
type device struct {
	id       string
	key      []byte // symmetric; nil for one that comes with a certificate
	disabled bool
	until    time.Time // when the token of its connection expires; zero: never
	twin     Twin
	applied  map[string]string // by automatic configurations: path to its content
	messages []Message
	connects int
}

// Fate is what becomes of one message of a device, besides its effect.
type Fate struct {
	Status int           // the answer, without any effect; 0: as it is
	Lost   bool          // the answer is lost
	Twice  bool          // the answer comes twice
	Cut    bool          // the connection ends before the answer
	Delay  time.Duration // the answer is late, and may be overtaken
}

// Start opens the hub; Close ends it.
func (h *Hub) Start() error {
	h.server = mochi.New(&mochi.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)})
	h.done = make(chan struct{})
	h.mu.Lock()
	if h.devices == nil { // else it starts anew, and knows what it knew
		h.devices, h.configs, h.jobs = map[string]*device{}, map[string]Configuration{}, map[string]*Job{}
	}
	h.waiting = map[string]chan answer{}
	h.mu.Unlock()
	if h.Now == nil {
		h.Now = time.Now
	}
	if h.Listen == "" {
		h.Listen = "127.0.0.1:0"
	}
	tcp := listeners.NewTCP(listeners.Config{ID: "tcp", Address: h.Listen, TLSConfig: h.TLS})
	err := errors.Join(h.server.AddHook(&rules{h: h}, nil), h.server.AddListener(tcp))
	if err == nil && h.Web != "" {
		err = h.server.AddListener(&web{hub: h})
	}
	if err == nil {
		err = h.server.Serve()
	}
	if err != nil {
		return err
	}
	h.Listen = tcp.Address()
	go h.tick()
	return nil
}

// Close ends all connections. What the hub knows stays, for another Start.
func (h *Hub) Close() error {
	close(h.done)
	return h.server.Close()
}

// Address is where devices connect to.
func (h *Hub) Address() string { return h.Listen }

// tick ends connections whose token expired, and takes hub jobs further.
func (h *Hub) tick() {
	for {
		select {
		case <-h.done:
			return
		case <-time.After(20 * time.Millisecond):
		}
		now := h.Now()
		h.mu.Lock()
		var late []string
		for id, d := range h.devices {
			if !d.until.IsZero() && !now.Before(d.until) {
				late = append(late, id)
				d.until = time.Time{}
			}
		}
		h.mu.Unlock()
		for _, id := range late { // [sas]: a token that expires ends the connection
			h.Drop(id, "the token has expired")
		}
		h.workJobs(now)
	}
}

// AddDevice registers a device with its symmetric key, or, without one, a
// device that comes with a certificate for that name.
func (h *Hub) AddDevice(id string, key []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.devices[id] = &device{id: id, key: key, applied: map[string]string{}, twin: newTwin()}
}

// Disable lets the device in no more.
func (h *Hub) Disable(id string, disabled bool) {
	h.mu.Lock()
	h.devices[id].disabled = disabled
	h.mu.Unlock()
	if disabled {
		h.Drop(id, "the device is disabled")
	}
}

// client is the device's connection, or nil.
func (h *Hub) client(id string) *mochi.Client {
	cl, ok := h.server.Clients.Get(id)
	if !ok || cl.Closed() {
		return nil
	}
	return cl
}

// Connected tells whether the device is.
func (h *Hub) Connected(id string) bool { return h.client(id) != nil }

// Connects counts the connections that the device was granted.
func (h *Hub) Connects(id string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.devices[id].connects
}

// Drop ends the device's connection. The hub never says why to the device
// [mqtt]; Drops tells it to tests.
func (h *Hub) Drop(id, why string) {
	if cl := h.client(id); cl != nil {
		h.drop(cl, why)
	}
}

func (h *Hub) drop(cl *mochi.Client, why string) {
	h.mu.Lock()
	h.drops = append(h.drops, cl.ID+": "+why)
	h.mu.Unlock()
	cl.Stop(errors.New(why))
}

// Drops lists why connections were ended or refused, oldest first.
func (h *Hub) Drops() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.drops...)
}
