package dialect

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Plain is the protocol for any MQTT broker: offers and statuses are retained
// messages, and the broker is all there is on the other side.
type Plain struct {
	Root   string // such as ratchet/v1
	Device string
	Groups []string
}

// maxName bounds the ids that are answered at all: a longer one is no slip of
// an operator, and its answer would have to carry it twice.
const maxName = 128

// Topics is every filter that this device subscribes to.
func (p Plain) Topics() Topics {
	jobs := []string{Topic{To: "device/" + p.Device, Name: "+"}.Below(p.Root)}
	for _, g := range p.Groups {
		jobs = append(jobs, Topic{To: "group/" + g, Name: "+"}.Below(p.Root))
	}
	return Topics{
		Jobs:     append(jobs, Topic{To: "all", Name: "+"}.Below(p.Root)),
		Own:      []string{p.own("state", "")},
		ReadBack: []string{p.own("jobs", "+")},
	}
}

// Connection has a will, which says that the device is gone.
func (p Plain) Connection() Connection {
	return Connection{Will: &Message{Topic: p.own("state", ""), Payload: marshal(Presence{}), Retain: true}}
}

// Hello has nothing to say: subscribing brings the retained offers.
func (p Plain) Hello() []Message { return nil }

// Receive tells what a message means. A job that is not readable is an Offer
// with Err, so that the operator hears of it.
func (p Plain) Receive(m Message) []Event {
	if e := p.meaning(m); e != nil {
		return []Event{e}
	}
	return nil
}

func (p Plain) meaning(m Message) Event {
	t, ok := ParseTopic(p.Root, m.Topic)
	switch {
	case !ok || len(t.Name) > maxName:
		return nil
	case t.To != "":
		return p.receiveOffer(t, m.Payload)
	case t.Device == p.Device && t.Part == "state":
		return readPresence(m.Payload)
	case t.Device == p.Device && t.Part == "jobs" && len(m.Payload) > 0:
		return readBack(t, m.Payload)
	}
	return nil
}

func (p Plain) receiveOffer(t Topic, payload []byte) Event {
	scope, name, _ := strings.Cut(t.To, "/")
	switch {
	case scope == "device" && name != p.Device, scope == "group" && !slices.Contains(p.Groups, name):
		return nil
	case len(payload) == 0:
		return Cleared{ID: t.Name}
	}
	return ReadOffer(t.Name, scope, payload)
}

// readPresence takes what it cannot read for "offline": wrong either way, and
// so the agent corrects it.
func readPresence(payload []byte) Presence {
	var p Presence
	if json.Unmarshal(payload, &p) != nil {
		return Presence{}
	}
	return p
}

// readBack believes in an id whose status it cannot read: without a state, but
// known, or a lost journal would make the device run that job again.
func readBack(t Topic, payload []byte) Told {
	s, err := ParseStatus(payload)
	if err != nil {
		s = JobStatus{}
	}
	s.Job, s.Device = t.Name, t.Device
	return Told{Status: s}
}

// Status is the job's retained status.
func (p Plain) Status(r Report) []Message {
	s := NewStatus(p.Device, r)
	return []Message{{Topic: p.own("jobs", s.Job), Payload: s.Encode(), Retain: true}}
}

// Tell turns what the device has to say into messages; nil for what has no
// place in this protocol.
func (p Plain) Tell(v any) []Message {
	switch v := v.(type) {
	case Presence:
		return []Message{{Topic: p.own("state", ""), Payload: marshal(v), Retain: true}}
	case Facts:
		return []Message{{Topic: p.own("facts", ""), Payload: v, Retain: true}}
	case Health:
		return p.tellHealth(v)
	case Alert:
		return p.tellAlert(v)
	case LogLine:
		return []Message{{Topic: p.own("logs", v.Job), Payload: marshal(v)}}
	case Data:
		return p.tellData(v)
	case Forgotten:
		return []Message{{Topic: p.own("jobs", v.ID), Retain: true}}
	}
	return nil
}

func (p Plain) tellHealth(samples Health) []Message {
	m := Message{Topic: p.own("health", "")}
	switch len(samples) {
	case 0:
		return nil
	case 1:
		m.Payload = samples[0]
	default:
		m.Payload = slices.Concat([]byte("["), bytes.Join(rawBytes(samples), []byte(",")), []byte("]"))
	}
	return []Message{m}
}

func rawBytes(samples Health) [][]byte {
	var list [][]byte
	for _, s := range samples {
		list = append(list, s)
	}
	return list
}

// tellAlert keeps an alert retained while it is raised. A cleared one is told
// once to whoever listens; only then is the retained one taken away.
func (p Plain) tellAlert(a Alert) []Message {
	a.Device = p.Device
	told := Message{Topic: p.own("alerts", a.Name), Payload: marshal(a), Retain: a.State != AlertCleared}
	if told.Retain {
		return []Message{told}
	}
	return []Message{told, {Topic: told.Topic, Retain: true}}
}

func (p Plain) tellData(d Data) []Message {
	head := marshal(struct {
		Job string `json:"job"`
		Seq int    `json:"seq"`
	}{d.Job, d.Seq})
	return []Message{{Topic: p.own("data", d.Job), Payload: fmt.Appendf(head, "\n%s", d.Lines)}}
}

func (p Plain) own(part, name string) string {
	return Topic{Device: p.Device, Part: part, Name: name}.Below(p.Root)
}

var _ Dialect = Plain{}
