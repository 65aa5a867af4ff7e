package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"
)

// A status is what the device told of a job.
type status struct {
	Job    string
	State  string
	Reason string
	Rev    int
	Steps  []struct {
		Name, Kind, State, Reason, Phase, Resumed string
		Attempts, Interrupted                     int
	}
}

func (s status) final() bool {
	switch s.State {
	case "succeeded", "failed", "cancelled", "rejected":
		return true
	}
	return false
}

// What an event is.
const (
	offered   = "offered"
	cancelled = "cancelled" // the cancel was sent
	told      = "told"      // a status arrived
	said      = "said"      // something else that is retained arrived
	marked    = "marked"    // a program in the machine wrote a line
	off       = "off"       // the power failed
)

// An event is something that was seen from outside, in the order in which it was.
type event struct {
	At      time.Time
	What    string
	Job     string   `json:",omitempty"`
	Words   []string `json:",omitempty"` // of a mark: what, job, step, attempt
	Status  *status  `json:",omitempty"`
	Comment string   `json:",omitempty"`
	Topic   string   `json:",omitempty"` // what was retained there from then on
	Payload []byte   `json:",omitempty"`
}

func (e event) String() string {
	switch e.What {
	case told:
		steps := ""
		for _, s := range e.Status.Steps {
			steps += fmt.Sprintf(" %s:%s/%d/%d", s.Name, s.State, s.Attempts, s.Interrupted)
		}
		return fmt.Sprintf("told    %s rev %d %s%s %s", e.Job, e.Status.Rev, e.Status.State, steps, e.Status.Reason)
	case marked:
		return "marked  " + strings.Join(e.Words, " ")
	}
	return strings.TrimSpace(fmt.Sprintf("%-7s %s %s", e.What, e.Job, e.Comment))
}

// A record is all that was seen.
type record struct {
	mu     sync.Mutex
	events []event
	last   map[string]status
	moved  chan struct{} // closed at the next event, and made again
}

func newRecord() *record { return &record{last: map[string]status{}, moved: make(chan struct{})} }

func (r *record) add(e event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.At = time.Now()
	r.events = append(r.events, e)
	if e.What == told && e.Status.Rev >= r.last[e.Job].Rev {
		r.last[e.Job] = *e.Status
	}
	close(r.moved)
	r.moved = make(chan struct{})
}

// wait returns a channel that is closed at the next event.
func (r *record) wait() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.moved
}

// seen are the events so far.
func (r *record) seen() []event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events[:len(r.events):len(r.events)]
}

// status is the newest one of a job.
func (r *record) status(job string) status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last[job]
}

// hear takes a retained message of the device's from the broker.
func (r *record) hear(topic string, payload []byte) {
	e := event{What: said, Topic: topic, Payload: payload}
	s := &status{}
	if json.Unmarshal(payload, s) == nil && s.Job != "" {
		e.What, e.Job, e.Status = told, s.Job, s
	}
	r.add(e)
}

// count is how many events there are.
func (r *record) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.events)
}

// A slate is the disk of marks: what is written to it is seen at once.
type slate struct{ *record }

func (s slate) size() int64                         { return 1 << 20 }
func (s slate) read(_ int64, n int) ([]byte, error) { return make([]byte, n), nil }
func (s slate) flush()                              {}

func (s slate) write(_ int64, text []byte, _ bool) error {
	line, _, _ := strings.Cut(string(text), "\n")
	words := strings.Fields(line)
	e := event{What: marked, Words: words}
	if len(words) == 4 {
		e.Job = words[1]
	}
	s.add(e)
	return nil
}
