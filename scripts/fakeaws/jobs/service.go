// Package jobs is a fake of AWS IoT Jobs over an MQTT broker in this process,
// for tests: the queue of each thing, executions with their versions, timers,
// cancel, deletion and retries, presigned URLs that expire, and every error.
// It follows the documentation of AWS and not our client; each rule names the
// page that it is from. It is no broker for real devices: nothing is kept.
//
// The pages, of docs.aws.amazon.com/iot/latest/developerguide unless they say
// otherwise:
//
//	[mqtt]      mqtt, protocols
//	[topics]    reserved-topics
//	[api]       jobs-mqtt-api, jobs-mqtt-https-api
//	[errors]    jobs-api
//	[lifecycle] iot-jobs-lifecycle
//	[online]    jobs-workflow-device-online
//	[limits]    job-limits, and general/latest/gr/iot-core
//	[model]     the service's API model, iot-jobs-data 2017-09-29
//	[presigned] create-manage-jobs
//	[retry]     jobs-configurations-details
//	[defender]  detect-device-side-metrics
package jobs

import (
	"crypto/tls"
	"errors"
	"sync"
	"time"

	"github.com/ratchetd/ratchet/scripts/fakecloud"
)

// A Service is one fake account. Set its fields before Start.
type Service struct {
	fakecloud.Front
	Listen string           // address for MQTT; empty: a free port of the loopback interface
	TLS    *tls.Config      // nil: without TLS
	Now    func() time.Time // its own clock; nil: time.Now
	Minute time.Duration    // how long a minute of its timers takes; 0: one
	Files  string           // URL of what answers presigned URLs: see Presigned
	Life   time.Duration    // of presigned URLs; 0: an hour
	Fate   func(topic string) Fate
	// Watch sees the topic of every answer; nil: nobody does.
	Watch func(reply string)
	// Authorize is a custom authorizer; nil: whoever has a certificate is let in.
	Authorize func(user, password string) bool
	// Deny reports whether a device's policy keeps it from a topic; nil: never.
	Deny func(topic string, publish bool) bool

	mu      sync.Mutex
	things  map[string]*thing
	created int64 // orders executions that were queued in one second
	minted  int
}

// A thing is what the service knows of one.
type thing struct {
	executions []*Execution // in the order of their creation
	head       string       // what notify-next said last
	told       string       // which executions notify said last
	connects   int
	reports    []Report
}

// Fate is what becomes of one request of a device.
type Fate struct {
	Code  string        // it is refused with this error, without any effect; empty: as it is
	Lost  bool          // the answer is lost
	Twice bool          // the request comes twice
	Cut   bool          // the connection ends before the answer
	Deaf  bool          // the connection ends before the request has any effect
	Delay time.Duration // the answer is late, and may be overtaken
}

// Start opens the service; Close ends it. It may be started again, and then
// knows what it knew.
func (s *Service) Start() error {
	s.mu.Lock()
	if s.things == nil {
		s.things = map[string]*thing{}
	}
	s.mu.Unlock()
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Minute == 0 {
		s.Minute = time.Minute
	}
	if s.Life == 0 {
		s.Life = time.Hour
	}
	s.Session = maxSession
	err := s.Open(s.Listen, named(s.TLS), &rules{fakecloud.Rules{KeepAlive: maxKeepAlive}, s}, s.tick)
	s.Listen = s.Address()
	return err
}

// Protocols are those of TLS on port 443: for a certificate, and for a custom
// authorizer [mqtt].
var Protocols = []string{"x-amzn-mqtt-ca", "mqtt"}

// named is the configuration with which a handshake without a server's name
// fails [mqtt].
func named(c *tls.Config) *tls.Config {
	if c == nil {
		return nil
	}
	next := c.GetConfigForClient
	c = c.Clone()
	c.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		switch {
		case h.ServerName == "":
			return nil, errors.New("no server name")
		case next != nil:
			return next(h)
		}
		return nil, nil
	}
	return c
}

// tick lets executions time out.
func (s *Service) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, t := range s.things {
		for _, e := range t.executions {
			if e.late(s.Now()) {
				s.end(name, t, e, "TIMED_OUT")
			}
		}
	}
}

// thing is made when it is first spoken of; the lock is held.
func (s *Service) thing(name string) *thing {
	t := s.things[name]
	if t == nil {
		t = &thing{}
		s.things[name] = t
	}
	return t
}

// SetFate changes what becomes of requests from now on.
func (s *Service) SetFate(decide func(topic string) Fate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Fate = decide
}

// Connects counts the connections that the thing made.
func (s *Service) Connects(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.thing(name).connects
}
