// Package plain is Ratchet's own protocol, which any MQTT broker carries.
package plain

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/agent/dialect"
)

// A Dialect speaks with any MQTT broker: offers and statuses are retained
// messages, and the broker is all there is on the other side.
type Dialect struct {
	Root   string // such as ratchet/v1
	Device string
	Groups []string
}

// Topics is every filter that this device subscribes to.
func (p Dialect) Topics() dialect.Topics {
	jobs := []string{dialect.Topic{To: "device/" + p.Device, Name: "+"}.Below(p.Root)}
	for _, g := range p.Groups {
		jobs = append(jobs, dialect.Topic{To: "group/" + g, Name: "+"}.Below(p.Root))
	}
	return dialect.Topics{
		Jobs:     append(jobs, dialect.Topic{To: "all", Name: "+"}.Below(p.Root)),
		Own:      []string{p.own("state", "")},
		ReadBack: []string{p.own("jobs", "+")},
	}
}

// Connection has a will, which says that the device is gone.
func (p Dialect) Connection() dialect.Connection {
	return dialect.Connection{Will: true}
}

// Hello has nothing to say: subscribing brings the retained offers.
func (p Dialect) Hello() []dialect.Message { return nil }

// Receive is what a message means. A job that cannot be read is an Offer with Err,
// so that the operator hears of it.
func (p Dialect) Receive(m dialect.Message) []dialect.Event {
	if e := p.meaning(m); e != nil {
		return []dialect.Event{e}
	}
	return nil
}

func (p Dialect) meaning(m dialect.Message) dialect.Event {
	t, ok := dialect.ParseTopic(p.Root, m.Topic)
	switch {
	case !ok || len(t.Name) > dialect.MaxName:
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

func (p Dialect) receiveOffer(t dialect.Topic, payload []byte) dialect.Event {
	scope, name, _ := strings.Cut(t.To, "/")
	switch {
	case scope == "device" && name != p.Device, scope == "group" && !slices.Contains(p.Groups, name):
		return nil
	case len(payload) == 0:
		return dialect.Cleared{ID: t.Name}
	}
	e := dialect.ReadOffer(t.Name, scope, payload)
	if o, ok := e.(dialect.Offer); ok {
		o.Origin = dialect.OfferedTo(t.To)
		return o
	}
	return e
}

// readPresence takes what it cannot read for "offline": that is wrong as well, so
// the agent corrects it.
func readPresence(payload []byte) dialect.Presence {
	var p dialect.Presence
	if json.Unmarshal(payload, &p) != nil {
		return dialect.Presence{}
	}
	return p
}

// readBack keeps an id whose status it cannot read, without a state: were it not
// known, a device that lost its journal would run that job again.
func readBack(t dialect.Topic, payload []byte) dialect.Told {
	s, err := dialect.ParseStatus(payload)
	if err != nil {
		s = dialect.JobStatus{}
	}
	s.Job, s.Device = t.Name, t.Device
	return dialect.Told{Status: s}
}

// Status is the job's retained status.
func (p Dialect) Status(r dialect.Report) []dialect.Message {
	s := dialect.NewStatus(p.Device, r)
	return []dialect.Message{{Topic: p.own("jobs", s.Job), Payload: s.Within(r.Room), Retain: true, Vital: true}}
}

// Tell turns what the device has to say into messages; nil for what has no
// place in this protocol.
func (p Dialect) Tell(v any) []dialect.Message {
	switch v := v.(type) {
	case dialect.Presence:
		return []dialect.Message{{Topic: p.own("state", ""), Payload: dialect.Marshal(v), Retain: true, Vital: true}}
	case dialect.Facts:
		return []dialect.Message{{Topic: p.own("facts", ""), Payload: v, Retain: true, Vital: true}}
	case dialect.Health:
		if len(v) > 0 {
			return []dialect.Message{{Topic: p.own("health", ""), Payload: v.Encode()}}
		}
	case dialect.Alert:
		return p.tellAlert(v)
	case dialect.LogLine:
		return []dialect.Message{{Topic: p.own("logs", v.Job), Payload: dialect.Marshal(v)}}
	case dialect.Data:
		return []dialect.Message{{Topic: p.own("data", v.Job), Payload: v.Encode()}}
	case dialect.Forgotten:
		return []dialect.Message{{Topic: p.own("jobs", v.ID), Retain: true}}
	}
	return nil
}

// tellAlert keeps an alert retained while it is raised. A cleared one is told
// once to whoever listens; only then is the retained one taken away.
func (p Dialect) tellAlert(a dialect.Alert) []dialect.Message {
	a.Device = p.Device
	told := dialect.Message{Topic: p.own("alerts", a.Name), Payload: dialect.Marshal(a), Retain: a.State != dialect.AlertCleared, Vital: true}
	if told.Retain {
		return []dialect.Message{told}
	}
	return []dialect.Message{told, {Topic: told.Topic, Retain: true, Vital: true}}
}

func (p Dialect) own(part, name string) string {
	return dialect.Topic{Device: p.Device, Part: part, Name: name}.Below(p.Root)
}

var _ dialect.Dialect = Dialect{}
