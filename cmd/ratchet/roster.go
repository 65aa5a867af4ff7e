package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/jq"
)

// A roster is the fleet as the retained messages tell it.
type roster struct {
	devices map[string]*device
	offers  map[string]map[string]offer // by job, then by whom it is for
}

// A device is what one device says of itself.
type device struct {
	id       string
	presence dialect.Presence
	facts    json.RawMessage // as published; empty when there are none
	known    knownFacts
	jobs     map[string]dialect.JobStatus
}

// knownFacts are the facts that this tool reads itself; jq sees all of them.
type knownFacts struct {
	Groups []string          `json:"groups"`
	Tags   map[string]string `json:"tags"`
	Agent  string            `json:"agent"`
	Board  struct {
		Arch  string `json:"arch"`
		Model string `json:"model"`
	} `json:"board"`
}

// An offer is what lies on one job topic: a job, or a cancel.
type offer struct {
	job     executor.Job
	text    []byte
	target  *jq.Expr // nil when all are meant
	percent *float64
	cancel  bool
	err     error // it cannot be read; every device rejects it

	signature string // of text; empty when it is not signed
}

func newRoster() *roster {
	return &roster{devices: map[string]*device{}, offers: map[string]map[string]offer{}}
}

// take notes what a message tells. Of a status it tells whether it is news.
func (r *roster) take(m link.Message) (news dialect.JobStatus, ok bool) {
	t := m.Topic
	switch {
	case t.To != "":
		r.takeOffer(t, m.Payload)
	case t.Part == "state":
		var p dialect.Presence
		_ = json.Unmarshal(m.Payload, &p) // a state that cannot be read is offline
		r.device(t.Device).presence = p
	case t.Part == "facts":
		r.device(t.Device).takeFacts(m.Payload)
	case t.Part == "jobs":
		return r.device(t.Device).takeStatus(t.Name, m.Payload)
	}
	return news, false
}

func (r *roster) device(id string) *device {
	d, ok := r.devices[id]
	if !ok {
		d = &device{id: id, jobs: map[string]dialect.JobStatus{}}
		r.devices[id] = d
	}
	return d
}

// sorted lists the devices by id.
func (r *roster) sorted() []*device {
	return slices.SortedFunc(maps.Values(r.devices), func(a, b *device) int { return cmp.Compare(a.id, b.id) })
}

func (r *roster) takeOffer(t dialect.Topic, payload []byte) {
	if len(payload) == 0 {
		delete(r.offers[t.Name], t.To)
		return
	}
	if r.offers[t.Name] == nil {
		r.offers[t.Name] = map[string]offer{}
	}
	r.offers[t.Name][t.To] = readOffer(payload)
	if id, ok := strings.CutPrefix(t.To, "device/"); ok {
		r.device(id) // it may never have been there
	}
}

func readOffer(payload []byte) offer {
	e, err := dialect.OpenEnvelope(payload)
	if err != nil {
		return offer{err: err}
	}
	var c struct{ Cancel bool }
	if json.Unmarshal([]byte(e.Job), &c) == nil && c.Cancel {
		return offer{cancel: true, signature: e.Signature}
	}
	o := offer{text: []byte(e.Job), signature: e.Signature}
	if e.Rollout != nil {
		o.percent = &e.Rollout.Percent
	}
	if o.job, o.err = executor.Parse(o.text); o.err == nil && o.job.Target != "" {
		o.target, o.err = jq.Compile(o.job.Target)
	}
	return o
}

func (d *device) takeFacts(payload []byte) {
	d.facts, d.known = bytes.Clone(payload), knownFacts{}
	_ = json.Unmarshal(payload, &d.known) // what is of another type stays empty
}

// takeStatus keeps the highest rev; of equal ones the later counts.
func (d *device) takeStatus(job string, payload []byte) (dialect.JobStatus, bool) {
	var s dialect.JobStatus
	if len(payload) == 0 {
		delete(d.jobs, job)
		return s, false
	}
	if json.Unmarshal(payload, &s) != nil || s.Rev < d.jobs[job].Rev {
		return s, false
	}
	s.Job, s.Device = job, d.id // the topic is what the broker has checked
	d.jobs[job] = s
	return s, true
}
