package azure

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

// Bounds of the reported properties, of which a hub takes 32 KB. Above roomy
// the oldest jobs go, until they are below it by a quarter.
const (
	roomy         = 20 << 10
	maxTwinReason = 256
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
func (a Dialect) Status(r dialect.Report) []dialect.Message {
	s := dialect.NewStatus(a.Device, r)
	j := reportedJob{State: s.State, Rev: s.Rev, Seq: r.Record.Seq}
	if !r.Bare {
		j.describe(s)
	}
	patch := map[string]any{"jobs": map[string]any{s.Job: j}}
	messages := []dialect.Message{reportedPatch(ridOf(r), patch)}
	if s.State.Final() && s.Rev > 0 && !r.Bare {
		messages = append(messages, a.event("status", s.Job, s.Encode()))
	}
	return messages
}

func (j *reportedJob) describe(s dialect.JobStatus) {
	if s.Reason != "" {
		reason := dialect.Head(s.Reason, maxTwinReason)
		j.Reason = &reason
	}
	if c := s.Step; c != nil {
		name := dialect.Head(c.Name, maxTwinText)
		j.Step, j.Of, j.Name, j.Kind, j.Attempt, j.Progress = &c.Index, &c.Of, &name, &c.Kind, &c.Attempt, &c.Progress
	}
}

// Tell turns what else the device says into messages. That it is there the hub
// knows by itself.
func (a Dialect) Tell(v any) []dialect.Message {
	switch v := v.(type) {
	case dialect.Revision:
		return revise(v)
	case dialect.Health:
		return a.tellHealth(v)
	case dialect.Alert:
		v.Device = a.Device
		return []dialect.Message{a.event("alert", "", dialect.Marshal(v))}
	case dialect.LogLine:
		return []dialect.Message{a.event("log", v.Job, dialect.Marshal(v))}
	case dialect.Data:
		return []dialect.Message{a.lines(v)}
	case dialect.Forgotten:
		return []dialect.Message{reportedPatch(ridRest, map[string]any{"jobs": map[string]any{v.ID: nil}})}
	case dialect.Answer:
		return []dialect.Message{{Topic: methodAnswer + strconv.Itoa(v.Status) + "/?$rid=" + url.QueryEscape(v.To.Request), Payload: v.Body}}
	}
	return nil
}

// event is a message from device to cloud. Content type and encoding let the
// hub route by what is in it; kind and job are properties of its own.
func (a Dialect) event(kind, job string, body []byte) dialect.Message {
	return a.eventOf("application%2Fjson", kind, job, body)
}

func (a Dialect) eventOf(content, kind, job string, body []byte) dialect.Message {
	bag := "$.ct=" + content + "&$.ce=utf-8&kind=" + kind
	if job != "" {
		bag += "&job=" + url.QueryEscape(job)
	}
	return dialect.Message{Topic: "devices/" + a.Device + "/messages/events/" + bag, Payload: body}
}

func (a Dialect) lines(d dialect.Data) dialect.Message {
	return a.eventOf("application%2Fx-ndjson", "data", d.Job, d.Encode())
}

// tellHealth sends as many samples at once as a message can hold.
func (a Dialect) tellHealth(samples dialect.Health) []dialect.Message {
	var messages []dialect.Message
	for len(samples) > 0 {
		n, size := 1, len(samples[0])
		for n < len(samples) && size+len(samples[n]) < maxEvent {
			size += len(samples[n]) + 1
			n++
		}
		messages = append(messages, a.event("health", "", samples[:n].Encode()))
		samples = samples[n:]
	}
	return messages
}

// tidy makes room in the reported properties, where there is too little, and
// takes away refusals of jobs that are not asked for any more. A job that is
// still asked for keeps its state, by which a lost journal is read back.
func tidy(reported, wanted map[string]json.RawMessage) *dialect.Message {
	jobs := dialect.Members(reported["jobs"])
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
		excess -= len(dialect.Marshal(j)) + len(id)
		if wanted[id] == nil {
			patch[id] = nil
			continue
		}
		bare := reportedJob{State: j.State, Rev: j.Rev, Seq: j.Seq}
		excess += len(dialect.Marshal(bare)) + len(id)
		patch[id] = bare
	}
}
