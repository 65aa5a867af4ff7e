package dialect

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/executor"
)

// Bounds of the reported properties, of which a hub takes 32 KB. Above roomy
// the oldest jobs go, until they are below it by a quarter.
const (
	roomy         = 20 << 10
	maxTwinReason = 256
	maxTwinFacts  = 4 << 10
	maxTwinText   = 128
	maxEvent      = 128 << 10 // of health samples in one message
)

// reportedJob is one of the reported properties jobs: flat, for queries. A
// patch names every member: null takes away what does not hold any more.
type reportedJob struct {
	State    executor.State `json:"state"`
	Rev      uint64         `json:"rev"`
	Seq      uint64         `json:"seq"` // order of acceptance
	Reason   *string        `json:"reason"`
	Step     *int           `json:"step"` // index, from 0
	Of       *int           `json:"of"`
	Name     *string        `json:"name"` // of the step
	Kind     *string        `json:"kind"`
	Attempt  *int           `json:"attempt"`
	Progress *float64       `json:"progress"`
}

// Status is the job's entry in the reported properties. How a job ended is
// also told in full, as an event with every step and its output.
func (a Azure) Status(r Report) []Message {
	s := NewStatus(a.Device, r)
	j := reportedJob{State: s.State, Rev: s.Rev, Seq: r.Record.Seq}
	if !r.Bare {
		j.describe(s)
	}
	patch := map[string]any{"jobs": map[string]any{s.Job: j}}
	messages := []Message{reportedPatch(ridOf(r), patch)}
	if s.State.Final() && s.Rev > 0 && !r.Bare {
		messages = append(messages, a.event("status", s.Job, s.Encode()))
	}
	return messages
}

func (j *reportedJob) describe(s JobStatus) {
	if s.Reason != "" {
		reason := head(s.Reason, maxTwinReason)
		j.Reason = &reason
	}
	if c := s.Step; c != nil {
		name := head(c.Name, maxTwinText)
		j.Step, j.Of, j.Name, j.Kind, j.Attempt, j.Progress = &c.Index, &c.Of, &name, &c.Kind, &c.Attempt, &c.Progress
	}
}

// Tell turns what else the device says into messages. That it is there the hub
// knows by itself.
func (a Azure) Tell(v any) []Message {
	switch v := v.(type) {
	case Facts:
		return tellFacts(v)
	case Health:
		return a.tellHealth(v)
	case Alert:
		v.Device = a.Device
		return []Message{a.event("alert", "", marshal(v))}
	case LogLine:
		return []Message{a.event("log", v.Job, marshal(v))}
	case Data:
		return []Message{a.lines(v)}
	case Forgotten:
		return []Message{reportedPatch(ridRest, map[string]any{"jobs": map[string]any{v.ID: nil}})}
	case Answer:
		return []Message{{Topic: methodAnswer + v.status() + "/?$rid=" + url.QueryEscape(v.To.Request), Payload: v.Body}}
	}
	return nil
}

// event is a message from device to cloud. Content type and encoding let the
// hub route by what is in it; kind and job are properties of its own.
func (a Azure) event(kind, job string, body []byte) Message {
	return a.eventOf("application%2Fjson", kind, job, body)
}

func (a Azure) eventOf(content, kind, job string, body []byte) Message {
	bag := "$.ct=" + content + "&$.ce=utf-8&kind=" + kind
	if job != "" {
		bag += "&job=" + url.QueryEscape(job)
	}
	return Message{Topic: "devices/" + a.Device + "/messages/events/" + bag, Payload: body}
}

func (a Azure) lines(d Data) Message {
	m := Plain{}.tellData(d)[0]
	return a.eventOf("application%2Fx-ndjson", "data", d.Job, m.Payload)
}

// tellHealth sends as many samples at once as a message can hold.
func (a Azure) tellHealth(samples Health) []Message {
	var messages []Message
	for len(samples) > 0 {
		n, size := 1, len(samples[0])
		for n < len(samples) && size+len(samples[n]) < maxEvent {
			size += len(samples[n]) + 1
			n++
		}
		m := Plain{}.tellHealth(samples[:n])[0]
		messages = append(messages, a.event("health", "", m.Payload))
		samples = samples[n:]
	}
	return messages
}

// tellFacts reports the facts that fleets are queried by: first nothing, since
// a patch takes nothing away by itself.
func tellFacts(f Facts) []Message {
	all := members(f)
	facts := map[string]any{}
	for _, name := range []string{"agent", "api", "os", "board"} {
		if all[name] != nil {
			facts[name] = all[name]
		}
	}
	for _, name := range []string{"groups", "kinds"} { // as {"routers": true}: queries know no lists
		facts[name] = set(all[name])
	}
	for _, name := range []string{"tags", "packages"} {
		values := twinKeys(members(all[name]))
		if len(marshal(facts))+len(marshal(values)) < maxTwinFacts {
			facts[name] = values
		}
	}
	if len(marshal(facts)) > maxTwinFacts {
		facts = map[string]any{"agent": all["agent"]}
	}
	return []Message{
		reportedPatch(ridFacts, map[string]any{"facts": nil}),
		reportedPatch(ridFacts, map[string]any{"facts": facts}),
	}
}

func set(raw json.RawMessage) map[string]bool {
	var names []string
	_ = json.Unmarshal(raw, &names) // of our own facts
	there := map[string]bool{}
	for _, name := range names {
		there[twinKey(name)] = true
	}
	return there
}

func twinKeys(values map[string]json.RawMessage) map[string]json.RawMessage {
	clean := map[string]json.RawMessage{}
	for name, v := range values {
		if name != "" && len(v) < maxTwinText {
			clean[twinKey(name)] = v
		}
	}
	return clean
}

// twinKey makes a name one that a twin can hold as a key.
func twinKey(name string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == '.' || r == '$' || r >= 0x7f && r < 0xa0 {
			return '_'
		}
		return r
	}, name)
}

// tidy makes room in the reported properties, where there is too little, and
// takes away refusals of jobs that are not asked for any more. A job that is
// still asked for keeps its state, by which a lost journal is read back.
func tidy(reported, wanted map[string]json.RawMessage) *Message {
	jobs := members(reported["jobs"])
	entries := map[string]reportedJob{}
	patch := map[string]any{}
	size := 0
	for id, raw := range jobs {
		var j reportedJob
		if json.Unmarshal(raw, &j) != nil {
			j = reportedJob{}
		}
		entries[id] = j
		if j.State == executor.Rejected && wanted[id] == nil {
			patch[id] = nil
			delete(entries, id)
			continue
		}
		size += len(id) + len(raw)
	}
	if size > roomy {
		shrink(entries, wanted, size-roomy/4*3, patch)
	}
	if len(patch) == 0 {
		return nil
	}
	m := reportedPatch(ridRest, map[string]any{"jobs": patch})
	return &m
}

// shrink takes finished jobs away, oldest first; of those that are still asked
// for only what was said beside the state.
func shrink(entries map[string]reportedJob, wanted map[string]json.RawMessage, excess int, patch map[string]any) {
	ids := slices.SortedFunc(maps.Keys(entries), func(a, b string) int {
		return cmp.Or(cmp.Compare(entries[a].Seq, entries[b].Seq), cmp.Compare(a, b))
	})
	for _, id := range ids {
		j := entries[id]
		if excess <= 0 || !j.State.Final() {
			continue
		}
		excess -= len(marshal(j)) + len(id)
		if wanted[id] == nil {
			patch[id] = nil
			continue
		}
		bare := reportedJob{State: j.State, Rev: j.Rev, Seq: j.Seq}
		excess += len(marshal(bare)) + len(id)
		patch[id] = bare
	}
}
