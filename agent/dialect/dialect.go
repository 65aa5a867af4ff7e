// Package dialect turns broker messages into what they mean for the agent, and
// what the agent has to say into messages. A Dialect is pure: it does no I/O,
// keeps no state and knows no journal. There is one in each of the folders
// below; here is what they share: the events, the reports, and the structs of
// the wire.
package dialect

import (
	"encoding/json"
	"fmt"

	"github.com/ratchetd/ratchet/executor"
)

// Message is one MQTT message, in or out. All are sent with QoS 1 unless Lossy.
type Message struct {
	Topic   string
	Payload []byte
	Retain  bool
	Lossy   bool // QoS 0
	Vital   bool // what a broker hangs up on is dropped later than the rest: somebody would miss it
}

// A Dialect speaks with one kind of service.
type Dialect interface {
	// Jobs are the topic filters that bring offers and cancels; Own are the
	// other ones; ReadBack bring what this device once told of its jobs.
	Topics() Topics
	// Connection is how to speak with the service.
	Connection() Connection
	// Hello is what to send after every connect, such as asking for work.
	Hello() []Message
	// Receive is what a message means, in order; none is nothing to this device.
	Receive(Message) []Event
	// Status is what to send about a job's state; none says that there is nothing to
	// send. The messages are idempotent by Rev.
	Status(Report) []Message
	// Tell turns everything else that a device says into messages: Presence, Facts,
	// Revision, Health, Alert, LogLine, Data, Forgotten, Ask, Answer or Metrics.
	// What has no place in the dialect becomes none.
	Tell(any) []Message
}

// Topics are filters to subscribe to.
type Topics struct{ Jobs, Own, ReadBack []string }

// An Event is what a message means. It is one of the types below, and no other:
// whoever acts on events must know them all.
type Event interface{ event() }

func (Offer) event()    {}
func (Cancel) event()   {}
func (Cleared) event()  {}
func (Told) event()     {}
func (Presence) event() {}

// Events that only a service has: see service.go and metrics.go.
func (Receipt) event()  {}
func (Closed) event()   {}
func (Open) event()     {}
func (Busy) event()     {}
func (Past) event()     {}
func (Edition) event()  {}
func (Stale) event()    {}
func (Say) event()      {}
func (Held) event()     {}
func (Missed) event()   {}
func (Call) event()     {}
func (Defended) event() {}

// Offer is a job that somebody wants done. Err says why its envelope or text
// cannot be read; then the rest but ID may be empty.
type Offer struct {
	ID        string            // the topic's id
	Key       string            // for Record.Key, where the id is not enough; then it alone says which job it is
	Begun     bool              // the service has it that this device began the job: without a Record the journal was lost
	Scope     string            // device, group or all
	Text      []byte            // the document's exact text
	Signature string            // minisign signature, or empty
	Rollout   *executor.Rollout // whom it is for by now; nil is all
	Origin    json.RawMessage   // for Record.Origin
	Remote    *Remote           // where Text is, if not here
	Err       error
}

// Remote is a text that lies elsewhere.
type Remote struct{ URL, SHA256 string }

// Cancel asks for the end of a job. Text is its exact text, which the
// signature, if there is one, is for.
type Cancel struct {
	ID        string
	Text      []byte
	Signature string
	Expires   executor.Time // zero unless it was given
	Audience  []string      // of a signed one: whom it is meant for
	Service   bool          // the job's own service takes it back: it needs no signature, and waits for no job to come
}

// Cleared says that an offer was taken away; nothing is cancelled by it.
type Cleared struct{ ID string }

// Told is what this device itself sent about a job earlier, read back from the broker.
type Told struct{ Status JobStatus }

// Presence is the device's own retained state.
type Presence struct {
	Online  bool          `json:"online"`
	Since   executor.Time `json:"since,omitzero"`
	Agent   string        `json:"agent,omitempty"`
	Journal Journal       `json:"journal,omitzero"`
}

// Journal says which journal a device has, and how many commits it has come to: one
// that shows up with another id, or with fewer, is older than what was told.
type Journal struct {
	ID      string `json:"id"`
	Commits uint64 `json:"commits"`
}

// Report is what is to be sent about one job: its Record, and what only RAM knows.
type Report struct {
	Record   executor.Record
	Waiting  string  // why it waits; empty when it does not
	Progress float64 // of the step under way, 0 to 1
	Taken    bool    // the service has taken a status of this job since the agent started
	Bare     bool    // the service refused what it says: send the state alone
	Room     int     // bytes that the broker takes, or LastLine; 0: any number
}

// Facts are what target sees; Health one sample or several that waited.
type (
	Facts  json.RawMessage
	Health []json.RawMessage
)

// Forgotten says that the device no longer knows the id: its retained status is cleared.
type Forgotten struct{ ID string }

// Alert is one raised or cleared alert.
type Alert struct {
	Name     string          `json:"name"`
	Device   string          `json:"device"`
	Severity string          `json:"severity"`
	State    string          `json:"state"`
	Since    executor.Time   `json:"since,omitzero"`
	Cleared  executor.Time   `json:"cleared,omitzero"`
	Value    json.RawMessage `json:"value,omitempty"`
	Rule     string          `json:"rule"`
}

// States of an alert.
const (
	AlertRaised  = "raised"
	AlertCleared = "cleared"
)

// LogLine is a piece of a step's live output.
type LogLine struct {
	Job     string `json:"-"`
	Step    string `json:"step"`
	Attempt int    `json:"attempt"`
	Seq     int    `json:"seq"`
	Stream  string `json:"stream"` // stdout or stderr
	Text    string `json:"text"`
}

// MaxLines bounds the lines of one Data, so that with its first line a message
// stays within 64 KiB.
const MaxLines = 64<<10 - 256

// Data is a part of what a data step publishes: JSON lines, at most MaxLines bytes.
type Data struct {
	Job   string
	Seq   int
	Lines []byte
}

// Encode is the first line {"job","seq"}, and the lines.
func (d Data) Encode() []byte {
	first := Marshal(struct {
		Job string `json:"job"`
		Seq int    `json:"seq"`
	}{d.Job, d.Seq})
	return fmt.Appendf(first, "\n%s", d.Lines)
}

// Encode is the sample, or an array where there are several.
func (h Health) Encode() []byte {
	if len(h) == 1 {
		return h[0]
	}
	b := []byte("[")
	for i, sample := range h {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, sample...)
	}
	return append(b, ']')
}
