// Package hub is a fake of Azure IoT Hub over an MQTT broker in this process,
// for tests: device twins, direct methods, messages both ways, tokens that
// expire, hub jobs and automatic configurations. It follows Microsoft's
// documentation and not our client; each rule names the page that it is from.
// It is no broker for real devices: nothing of it is kept.
//
// The pages, all on learn.microsoft.com unless they say otherwise:
//
//	[mqtt]     iot/iot-mqtt-connect-to-iot-hub
//	[twins]    iot-hub/iot-hub-devguide-device-twins
//	[methods]  iot-hub/iot-hub-devguide-direct-methods
//	[c2d]      iot-hub/iot-hub-devguide-messages-c2d
//	[d2c]      iot-hub/iot-hub-devguide-messages-d2c
//	[quotas]   iot-hub/iot-hub-devguide-quotas-throttling
//	[jobs]     iot-hub/iot-hub-devguide-jobs
//	[auto]     iot-hub/iot-hub-automatic-device-management
//	[query]    iot-hub/iot-hub-devguide-query-language
//	[sas]      iot-hub/authenticate-authorize-sas
//	[registry] iot-hub/iot-hub-devguide-identity-registry
//	[rest]     rest/api/iothub/service
//	[sdk]      github.com/Azure/azure-sdk-for-c, az_iot_hub_client*
//	[node]     github.com/Azure/azure-iot-sdk-node, what its clients send and expect
package hub

import (
	"crypto/tls"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/ratchetd/ratchet/scripts/fakecloud"
)

// A Hub is one fake hub. Set its fields before Start.
type Hub struct {
	fakecloud.Front
	Host   string           // of user names and tokens, such as fake.azure-devices.net
	Listen string           // address for MQTT; empty: a free port of the loopback interface
	Web    string           // address for MQTT over websockets; empty: none
	TLS    *tls.Config      // nil: both without TLS
	Now    func() time.Time // its own clock
	Basic  bool             // a hub of the basic tier, which has no twins and no methods [quotas]
	Fate   func(topic string) Fate

	configuring sync.Mutex // held by who brings twins to what configurations want; taken before mu

	mu      sync.Mutex
	devices map[string]*device
	configs map[string]Configuration
	jobs    map[string]*Job
	rids    int
	waiting map[string]chan answer // by rid of a method
}

// A device is what the hub knows of one.
type device struct {
	id         string
	keys       [][]byte // symmetric; nil for one that comes with a certificate
	disabled   bool
	changes    int // of the registry's entry
	generation int
	until      time.Time // when the token of its connection expires; zero: never
	twin       Twin
	applied    map[string]string // by automatic configurations: path to its content
	messages   []Message
	bound      []*bound // messages to it that it has not acknowledged
	connects   int
}

// Fate is what becomes of one message of a device, besides its effect.
type Fate struct {
	Status int           // the answer, without any effect; 0: as it is
	Lost   bool          // the answer is lost
	Twice  bool          // the answer comes twice
	Cut    bool          // the connection ends before the answer
	Delay  time.Duration // the answer is late, and may be overtaken
}

// Start opens the hub; Close ends it. It may be started again, and then knows
// what it knew.
func (h *Hub) Start() error {
	h.mu.Lock()
	if h.devices == nil {
		h.devices, h.configs, h.jobs = map[string]*device{}, map[string]Configuration{}, map[string]*Job{}
	}
	h.waiting = map[string]chan answer{}
	h.mu.Unlock()
	if h.Now == nil {
		h.Now = time.Now
	}
	var more []listeners.Listener
	if h.Web != "" {
		more = append(more, &web{hub: h})
	}
	err := h.Open(h.Listen, h.TLS, &rules{fakecloud.Rules{KeepAlive: maxKeepAlive}, h}, h.tick, more...)
	h.Listen = h.Address()
	return err
}

// tick ends connections whose token expired, and takes hub jobs further.
func (h *Hub) tick() {
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

// Connected reports whether the device is.
func (h *Hub) Connected(id string) bool { return h.Client(id) != nil }

// Connects counts the connections that the device was granted.
func (h *Hub) Connects(id string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d := h.devices[id]; d != nil {
		return d.connects
	}
	return 0
}
