package dialect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/ratchetd/ratchet/executor"
)

// MaxPayload is the longest payload that is looked at: a document of the
// greatest length with every byte escaped, and room for a signature.
const MaxPayload = 2*executor.MaxDocument + 4<<10

// MaxName is the longest id, in bytes, that is answered at all: a longer one is no
// operator's mistake, and the answer would have to carry it twice.
const MaxName = 128

// Envelope is what travels around a document's exact text when it is signed
// or rolled out in waves. The rollout lies outside the signature, so that a
// wave needs no key.
type Envelope struct {
	Job       string            `json:"job"`
	Signature string            `json:"signature,omitempty"`
	Rollout   *executor.Rollout `json:"rollout,omitempty"`
}

// Payload is what goes over the wire: the bare text where nothing else is to
// be said. The text must be valid UTF-8.
func (e Envelope) Payload() []byte {
	if e.Signature == "" && e.Rollout == nil {
		return []byte(e.Job)
	}
	return Marshal(e)
}

// OpenEnvelope reads what Payload wrote. An object whose job is a string is an
// envelope and is read strictly; everything else is taken for a bare text and
// may still be nonsense.
func OpenEnvelope(payload []byte) (Envelope, error) {
	if len(payload) > MaxPayload {
		return Envelope{}, fmt.Errorf("the payload has %d bytes: at most %d are taken", len(payload), MaxPayload)
	}
	e := Envelope{Job: string(payload)}
	if _, ok := stringOf(Members(payload)["job"]); ok {
		e = Envelope{}
		if err := executor.Decode(payload, &e); err != nil {
			return Envelope{}, fmt.Errorf("envelope: %w", err)
		}
	}
	if len(e.Job) > executor.MaxDocument {
		return Envelope{}, fmt.Errorf("the document has %d bytes: at most %d are taken", len(e.Job), executor.MaxDocument)
	}
	if err := e.Rollout.Check(); err != nil {
		return Envelope{}, fmt.Errorf("envelope: %w", err)
	}
	return e, nil
}

// CancelText is the text of a cancel. A signed one must expire and name its
// audience, or a broker could bring it out again for ever, and to any device
// that has a job of this id.
type CancelText struct {
	ID       string        `json:"id"`
	Cancel   bool          `json:"cancel"`
	Expires  executor.Time `json:"expires,omitzero"`
	Audience []string      `json:"audience,omitempty"`
}

// ReadOffer is what a payload asks for under the given id: an Offer or a Cancel.
// What is wrong inside a document is left to executor.Parse, except for an id that
// differs.
func ReadOffer(id, scope string, payload []byte) Event {
	e, err := OpenEnvelope(payload)
	if err != nil {
		return Offer{ID: id, Scope: scope, Err: err}
	}
	top := Members([]byte(e.Job))
	if _, ok := top["cancel"]; ok {
		c, err := readCancel(id, e)
		if err != nil {
			return Offer{ID: id, Scope: scope, Err: err}
		}
		return c
	}
	o := Offer{ID: id, Scope: scope, Text: []byte(e.Job), Signature: e.Signature, Rollout: e.Rollout}
	if inside, ok := stringOf(top["id"]); ok && inside != id {
		o.Err = wrongID(inside, id)
	}
	return o
}

func readCancel(id string, e Envelope) (Cancel, error) {
	var c CancelText
	err := executor.Decode([]byte(e.Job), &c)
	switch {
	case err != nil:
		return Cancel{}, fmt.Errorf("reading the cancel: %w", err)
	case c.ID != id:
		return Cancel{}, wrongID(c.ID, id)
	case !c.Cancel:
		return Cancel{}, errors.New("cancel: want true; an empty payload takes an offer away")
	case e.Rollout != nil:
		return Cancel{}, errors.New("rollout: a cancel is for every device that it reaches")
	case !Cancellable(id):
		return Cancel{}, fmt.Errorf("id: %q: no job can have it", id)
	}
	return Cancel{ID: id, Text: []byte(e.Job), Signature: e.Signature, Expires: c.Expires, Audience: c.Audience}, nil
}

// Cancellable reports whether a job can have the id: one that documents carry, or
// NAME@TIME, which a device makes for what a schedule or an alert began.
func Cancellable(id string) bool {
	name, at, made := strings.Cut(id, "@")
	return executor.ValidID(name) && (!made || executor.ValidID(at))
}

func wrongID(inside, topic string) error {
	return fmt.Errorf("id is %q but the topic says %q", inside, topic)
}

// Members are the top-level members of a JSON object; none for anything else.
func Members(text []byte) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if json.Unmarshal(executor.Unmarked(text), &m) != nil {
		return nil
	}
	return m
}

func stringOf(raw json.RawMessage) (string, bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	var s string
	return s, json.Unmarshal(raw, &s) == nil
}

// Marshal is json.Marshal for structs of this package, which cannot fail. It
// leaves < > & as they are: six bytes instead of one count on a metered link.
func Marshal(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
