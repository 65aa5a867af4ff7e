package fleet

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/executor"
)

// What one device may take of the tool's memory. An honest one stays far below:
// it keeps at most 4,096 jobs, most of them as one line.
const (
	maxDepth    = 32      // of JSON, before it is parsed
	maxItems    = 256     // steps, warnings and the like in a status, before it is parsed
	maxJobs     = 5000    // statuses
	maxWeight   = 8 << 20 // bytes, of all its statuses as they are kept
	maxAlerts   = 256     // that are raised
	alertWeight = 256     // bytes that one takes, its texts aside
	stepWeight  = 256     // bytes that a step takes, its texts aside
	maxLeft     = 5       // notes of what was left out
)

// What all of it may take: a broker may make up any number of devices and offers.
const (
	maxHeld      = 2<<30 - 1 // bytes; half a million honest devices stay below
	deviceWeight = 1 << 10   // bytes that a device takes, what it says aside
	offerWeight  = 2 << 10   // bytes that an offer takes, its text aside
	textCost     = 2         // bytes for each of an offer's text: it is kept as it is, and read
)

func (o Offer) weight() int { return offerWeight + textCost*len(o.Text) }

// leave notes that a message was left out, and why.
func (f *Fleet) leave(t dialect.Topic, why string) {
	if f.left++; len(f.notes) < maxLeft {
		f.notes = append(f.notes, fmt.Sprintf("left out: %s: %s", t.Below("…"), why))
	}
}

// LeftOut says what was left out because no honest device or broker sends it,
// one line each, the first few and how many more. It is empty when all that
// came was taken.
func (f *Fleet) LeftOut() []string {
	if more := f.left - len(f.notes); more > 0 {
		return append(f.notes[:len(f.notes):len(f.notes)], fmt.Sprintf("left out: %d more", more))
	}
	return f.notes
}

// unfit says why a message is not even looked at. It is empty for a good one.
func unfit(m link.Message) string {
	t := m.Topic
	scope, name, _ := strings.Cut(t.To, "/")
	switch {
	case t.Device != "" && !executor.ValidDevice(t.Device):
		return "no device has this name"
	case t.To != "" && scope != "all" && !executor.ValidDevice(name):
		return "no device or group has this name"
	case len(t.Name) > dialect.MaxName || strings.IndexFunc(t.Name, unusual) >= 0:
		return "no job has this name"
	case m.TooLong:
		return "longer than it may be"
	case t.To != "":
		return "" // reading a document bounds itself
	}
	deep, items := shape(m.Payload)
	switch {
	case deep > maxDepth:
		return fmt.Sprintf("nests more than %d deep", maxDepth)
	case t.Part == "jobs" && items > maxItems:
		return "has more steps than any job"
	}
	return ""
}

// unusual is not even in a name that a device would reject.
func unusual(r rune) bool { return r > unicode.MaxASCII || !unicode.IsPrint(r) || r == ' ' }

// shape is how deep a text nests if it is JSON, and how many commas stand in
// what lies directly in its members: a megabyte of steps can be a few kilobytes
// of text.
func shape(text []byte) (most, items int) {
	deep, inString := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '[' || c == '{':
			deep++
			most = max(most, deep)
		case c == ']' || c == '}':
			deep--
		case c == ',' && deep == 2:
			items++
		}
	}
	return most, items
}

// weight is how many bytes a status takes, about.
func weight(job string, payload []byte, s dialect.JobStatus) int {
	return len(job) + len(payload) + stepWeight*(1+len(s.Steps)) + 16*len(s.Warnings)
}
