package dialect

import (
	"encoding/json"

	"github.com/ratchetd/ratchet/executor"
)

// Connection is how a service wants to be spoken with. The zero value is any
// MQTT broker.
type Connection struct {
	// Will says that the broker is to say for a device that vanished that it is
	// offline.
	Will bool
	// Service says that the other side is a service with jobs of its own, not a
	// broker that hands on and keeps messages. So the broker is asked to keep nothing
	// between connections; Hello is a question, which is asked again until an Open
	// came, and no job begins before that; and acknowledgements mean nothing: a Status
	// is told when its Receipt came, and told again until then, also after a restart.
	// Of one job only one is under way at a time. A refused offer is told in the same
	// way, even one that is not for this device: the service waits for an answer.
	Service bool
	// Quiet says that the service waits for no answer to an offer that is not for
	// this device.
	Quiet bool
	// Recalls says that a message brings Past and Held. A new journal takes no offer
	// before it came, and facts are told when it came, as a Revision.
	// Topics.ReadBack brings Past by retained messages.
	Recalls bool
}

// Receipt is a service's word on one Status: it was taken or, with Err,
// refused. One that is to be told Again comes at a bad time only; any other
// refusal is for what it says, so it is told once more as a bare Report.
type Receipt struct {
	Key   string // of the Record
	Rev   uint64
	Err   error
	Again bool
	Part  bool // it was taken, and what it leads up to is to be told next
}

// Closed says that the service holds a job for over, whatever the device does:
// it was cancelled, deleted or timed out there, or our own final status came to
// it and only its Receipt got lost. State is how it ended by the service's
// account, if it is a state that a device tells; empty when another ended it.
type Closed struct {
	Key    string
	State  executor.State
	Reason string
}

// Open is what a service holds open for this device: of Records whose Origin
// is From, the Keys. When Sure these are all, and any other unfinished job is
// Closed; otherwise the service is asked about each, with Ask.
type Open struct {
	From    string
	Keys    []string
	Sure    bool
	Cancels bool // these are all; any other unfinished job is cancelled, and that is told
}

// Busy says that the service could not answer a question now: Hello is to be
// asked again in a while.
type Busy struct{ Err error }

// Past is all that this device told earlier of its jobs, for a new journal.
type Past []JobStatus

// Ask is, for Tell, the question how a job stands by the service's account. Its
// answer is an Offer of the same key, a Closed, or nothing.
type Ask struct{ Record executor.Record }

// Edition is the state of all offers that the rest of a message is of; it comes
// first. What is older than the newest that came means nothing any more. Where
// it is a change only, and another one before it did not come, the whole is
// asked for, with Hello.
type Edition struct {
	Number uint64
	Whole  bool
}

// Stale says that the whole is to be asked for.
type Stale struct{}

// Say is what is to be said in answer to a message.
type Say []Message

// Held is what the service holds of this device's facts; empty for nothing.
type Held struct{ Facts json.RawMessage }

// Revision is, for Tell, the facts as they are now, to a service that holds
// others, as Held said. What differs is told in one message: there is no moment
// at which the service has less of them than before and now.
type Revision struct {
	Facts Facts
	Held  json.RawMessage
}

// Missed says that the service did not take the facts: they are told again.
type Missed struct{}

// Call asks for something at once, and its caller waits for the Answer.
type Call struct {
	Method  string
	Request string // which one is answered
	Payload []byte
}

// Answer is, for Tell, the answer to a Call: a status as in HTTP, and JSON.
type Answer struct {
	To     Call
	Status int
	Body   []byte
}

// origin is what every Record.Origin of a service begins with.
type origin struct {
	From string `json:"from"`
}

// FromCall is the origin of a job that came with a Call.
const FromCall = "method"

// OriginOf is the Record.Origin of a job that came from there, which From gives back.
func OriginOf(from string) json.RawMessage { return Marshal(origin{From: from}) }

// OfferedTo is the Record.Origin of a job that was offered to a scope of a broker,
// such as group/routers: an offer takes the place of one that lay there alone.
func OfferedTo(scope string) json.RawMessage {
	return Marshal(struct {
		To string `json:"to"`
	}{scope})
}

// From is which service a Record's job came from; empty for any broker and
// for the device itself.
func From(r executor.Record) string {
	var o origin
	if json.Unmarshal(r.Origin, &o) != nil {
		return ""
	}
	return o.From
}
