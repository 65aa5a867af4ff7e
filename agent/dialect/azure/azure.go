// Package azure is the dialect of Azure IoT Hub.
package azure

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/ratchetd/ratchet/agent/dialect"
)

// A Dialect speaks with Azure IoT Hub. Durable jobs are desired properties of the
// device's twin, immediate ones are direct methods; the states of all are
// reported properties, and the rest goes as messages from device to cloud.
type Dialect struct{ Device string }

// fromTwin is in the Record's Origin of a job that came with the twin.
const fromTwin = "twin"

const (
	twinGet      = "$iothub/twin/GET/?$rid="
	twinAnswers  = "$iothub/twin/res/"
	twinReport   = "$iothub/twin/PATCH/properties/reported/?$rid="
	twinDesired  = "$iothub/twin/PATCH/properties/desired/"
	methodCalls  = "$iothub/methods/POST/"
	methodAnswer = "$iothub/methods/res/"
)

// What a request about the twin was for: the hub gives it back with its answer.
const (
	ridGet   = "get"
	ridFacts = "facts"
	ridRest  = "rest"   // what is told again by itself, or does not matter
	ridJob   = "job."   // and the key, a dot and the rev
	ridBare  = "state." // so too; of a bare Report
)

// Topics are three of the five that a hub grants.
func (Dialect) Topics() dialect.Topics {
	return dialect.Topics{Own: []string{methodCalls + "#", twinAnswers + "#", twinDesired + "#"}}
}

// Connection is one that the hub keeps nothing for: the twin is what lasts.
func (Dialect) Connection() dialect.Connection {
	return dialect.Connection{Service: true, Recalls: true, Quiet: true}
}

// Hello asks for the twin.
func (Dialect) Hello() []dialect.Message { return []dialect.Message{{Topic: twinGet + ridGet}} }

// Receive is what a message means.
func (a Dialect) Receive(m dialect.Message) []dialect.Event {
	if rest, ok := strings.CutPrefix(m.Topic, twinAnswers); ok {
		return a.answer(rest, m.Payload)
	}
	if query, ok := strings.CutPrefix(m.Topic, twinDesired+"?"); ok {
		return desiredPatch(query, m.Payload)
	}
	if rest, ok := strings.CutPrefix(m.Topic, methodCalls); ok {
		name, query, _ := strings.Cut(rest, "/?")
		if rid := parameter(query, "$rid"); rid != "" && len(m.Payload) <= dialect.MaxPayload {
			return []dialect.Event{dialect.Call{Method: name, Request: rid, Payload: m.Payload}}
		}
	}
	return nil
}

func parameter(query, name string) string {
	v, err := url.ParseQuery(query)
	if err != nil {
		return ""
	}
	return v.Get(name)
}

// answer is what the hub says to a request about the twin.
func (a Dialect) answer(rest string, body []byte) []dialect.Event {
	code, query, _ := strings.Cut(rest, "/?")
	status, err := strconv.Atoi(code)
	rid := parameter(query, "$rid")
	if err != nil {
		return nil
	}
	switch {
	case rid == ridGet && status == 200:
		return a.wholeTwin(body)
	case rid == ridFacts && passing(status):
		return []dialect.Event{dialect.Missed{}}
	case strings.HasPrefix(rid, ridJob), strings.HasPrefix(rid, ridBare):
		return receiptOf(rid, status)
	}
	return nil // a twin that did not come is asked for again
}

// receiptOf is the hub's word on a job's state. It refuses what it may not
// hold, and anything where the reported properties are full: then room is made
// by reading the twin again.
func receiptOf(rid string, status int) []dialect.Event {
	bare := strings.HasPrefix(rid, ridBare)
	_, rest, _ := strings.Cut(rid, ".")
	dot := strings.LastIndex(rest, ".")
	if dot < 0 {
		return nil
	}
	rev, err := strconv.ParseUint(rest[dot+1:], 10, 64)
	if err != nil {
		return nil
	}
	r := dialect.Receipt{Key: rest[:dot], Rev: rev}
	if status < 300 {
		return []dialect.Event{r}
	}
	r.Err, r.Again = fmt.Errorf("the hub answered %d", status), passing(status) || bare
	if passing(status) {
		return []dialect.Event{r}
	}
	return []dialect.Event{r, dialect.Stale{}}
}

// passing reports whether a refusal is temporary, and not for what was said.
func passing(status int) bool { return status == 429 || status >= 500 }

func ridOf(r dialect.Report) string {
	kind := ridJob
	if r.Bare {
		kind = ridBare
	}
	return url.QueryEscape(fmt.Sprintf("%s%s.%d", kind, r.Record.Key, r.Record.Rev))
}

// reportedPatch is a message that patches the reported properties.
func reportedPatch(rid string, patch any) dialect.Message {
	return dialect.Message{Topic: twinReport + rid, Payload: dialect.Marshal(patch)}
}

var _ dialect.Dialect = Dialect{}
