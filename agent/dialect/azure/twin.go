package azure

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

// twinJob is one of the desired properties jobs: the document's text in pieces
// that a twin can hold, or where it lies.
type twinJob struct {
	T         map[string]string `json:"t,omitempty"`
	URL       string            `json:"url,omitempty"`
	SHA256    string            `json:"sha256,omitempty"`
	Signature string            `json:"signature,omitempty"`
	Rollout   *executor.Rollout `json:"rollout,omitempty"`
}

// wholeTwin is what the device gets when it asks: all jobs that it is to have,
// and all that it told of them.
func (a Dialect) wholeTwin(body []byte) []dialect.Event {
	twin := dialect.Members(body)
	desired, reported := dialect.Members(twin["desired"]), dialect.Members(twin["reported"])
	var version uint64
	if json.Unmarshal(desired["$version"], &version) != nil {
		return nil
	}
	events := []dialect.Event{dialect.Edition{Number: version, Whole: true}, pastOf(dialect.Members(reported["jobs"]))}
	jobs := dialect.Members(desired["jobs"])
	keys := slices.Sorted(maps.Keys(jobs))
	for _, id := range keys {
		if len(id) <= dialect.MaxName {
			events = append(events, readTwinJob(id, jobs[id]))
		}
	}
	events = append(events, dialect.Open{From: fromTwin, Keys: keys, Cancels: true})
	if m := tidy(reported, jobs); m != nil {
		events = append(events, dialect.Say{*m})
	}
	return append(events, dialect.Held{Facts: reported["facts"]}) // after room was made for what they are now
}

// desiredPatch is a change of the desired properties. A key that is null takes
// its job back. Anything else is a part of a job at best, for the hub has merged
// it into what was there: then the whole twin is to be read.
func desiredPatch(query string, body []byte) []dialect.Event {
	version, err := strconv.ParseUint(parameter(query, "$version"), 10, 64)
	if err != nil {
		return nil
	}
	events := []dialect.Event{dialect.Edition{Number: version}}
	raw, there := dialect.Members(body)["jobs"]
	jobs := dialect.Members(raw)
	stale := there && jobs == nil
	for _, id := range slices.Sorted(maps.Keys(jobs)) {
		if string(jobs[id]) == "null" {
			events = append(events, dialect.Cancel{ID: id, Service: true})
		} else {
			stale = true
		}
	}
	if stale {
		events = append(events, dialect.Stale{})
	}
	return events
}

// readTwinJob turns one of the desired jobs into an Offer or, if its text is
// one, a Cancel.
func readTwinJob(id string, raw json.RawMessage) dialect.Event {
	var j twinJob
	text, err := "", executor.Decode(raw, &j)
	switch {
	case err != nil:
	case j.URL != "" && j.T != nil:
		err = errors.New("t and url: want one of them")
	case j.URL != "" && !isDigest(j.SHA256):
		err = errors.New("sha256: want the document's digest, 64 lower-case hex digits")
	case j.URL != "" && j.Rollout.Check() != nil:
		err = j.Rollout.Check()
	case j.URL != "":
		return dialect.Offer{ID: id, Scope: "device", Signature: j.Signature, Rollout: j.Rollout,
			Remote: &dialect.Remote{URL: j.URL, SHA256: j.SHA256}, Origin: dialect.OriginOf(fromTwin)}
	default:
		text, err = joined(j.T)
	}
	if err != nil {
		return dialect.Offer{ID: id, Scope: "device", Err: fmt.Errorf("the twin's jobs.%s: %w", id, err), Origin: dialect.OriginOf(fromTwin)}
	}
	return from(fromTwin, dialect.ReadOffer(id, "device", dialect.Envelope{Job: text, Signature: j.Signature, Rollout: j.Rollout}.Payload()))
}

// from notes where an offer came from.
func from(place string, e dialect.Event) dialect.Event {
	if o, ok := e.(dialect.Offer); ok {
		o.Origin = dialect.OriginOf(place)
		return o
	}
	return e
}

func isDigest(s string) bool { return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == "" }

// joined puts the text together, whose pieces are numbered from 0.
func joined(pieces map[string]string) (string, error) {
	if len(pieces) == 0 {
		return "", errors.New(`t: want the document's text as {"0": "...", "1": "..."}, or url and sha256`)
	}
	var b strings.Builder
	for i := range len(pieces) {
		piece, ok := pieces[strconv.Itoa(i)]
		if !ok {
			return "", fmt.Errorf("t: %d pieces, but none is %d: number them from 0", len(pieces), i)
		}
		b.WriteString(piece)
	}
	return b.String(), nil
}

// Pieces is a document's text as the twin can hold it: strings of at most 4 KB.
func Pieces(text string) map[string]string {
	const most = 4000
	pieces := map[string]string{}
	for text != "" {
		n := len(text)
		if n > most {
			for n = most; n > 0 && text[n]&0xc0 == 0x80; n-- { // within a character
			}
		}
		pieces[strconv.Itoa(len(pieces))] = text[:n]
		text = text[n:]
	}
	return pieces
}

// pastOf is what this device told of its jobs, by the reported properties.
func pastOf(reported map[string]json.RawMessage) dialect.Past {
	past := dialect.Past{}
	for _, id := range slices.Sorted(maps.Keys(reported)) {
		var j reportedJob
		if json.Unmarshal(reported[id], &j) == nil {
			past = append(past, dialect.JobStatus{Job: id, State: j.State, Rev: j.Rev})
		}
	}
	return past
}
