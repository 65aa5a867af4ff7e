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
	"log/slog"
	"sync"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
)

// A Service is one fake account. Set its fields before Start.
type Service struct {
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
	// Deny tells which topics a device's policy does not let it use; nil: none.
	Deny func(topic string, publish bool) bool

	server  *mochi.Server
	done    chan struct{}
	mu      sync.Mutex
	things  map[string]*thing
	created int64 // orders executions that were queued in one second
	minted  int
	drops   []string
}

// A thing is what the service knows of one.
type thing struct {
	executions []*Execution // in the order of their creation
	head       string       // what notify-next told last
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

// Start opens the service; Close ends it. It may be started anew, and then
// knows what it knew.
func (s *Service) Start() error {
	s.server = mochi.New(&mochi.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)})
	s.done = make(chan struct{})
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
	if s.Listen == "" {
		s.Listen = "127.0.0.1:0"
	}
	tcp := listeners.NewTCP(listeners.Config{ID: "tcp", Address: s.Listen, TLSConfig: s.TLS})
	err := errors.Join(s.server.AddHook(&rules{s: s}, nil), s.server.AddListener(tcp))
	if err == nil {
		err = s.server.Serve()
	}
	if err != nil {
		return err
	}
	s.Listen = tcp.Address()
	go s.tick()
	return nil
}

// Close ends all connections. What the service knows stays.
func (s *Service) Close() error {
	close(s.done)
	return s.server.Close()
}

// Address is where devices connect to.
func (s *Service) Address() string { return s.Listen }

// tick lets executions time out.
func (s *Service) tick() {
	for {
		select {
		case <-s.done:
			return
		case <-time.After(20 * time.Millisecond):
		}
		s.mu.Lock()
		for name, t := range s.things {
			for _, e := range t.executions {
				if e.late(s.Now()) {
					s.end(name, t, e, "TIMED_OUT")
				}
			}
		}
		s.mu.Unlock()
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

// Drop ends the thing's connection.
func (s *Service) Drop(name, why string) {
	if cl, ok := s.server.Clients.Get(name); ok && !cl.Closed() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.drop(cl, why)
	}
}

// drop ends a connection; the lock is held.
func (s *Service) drop(cl *mochi.Client, why string) {
	s.drops = append(s.drops, cl.ID+": "+why)
	go cl.Stop(errors.New(why))
}

// Drops lists why connections were ended, oldest first.
func (s *Service) Drops() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.drops...)
}
