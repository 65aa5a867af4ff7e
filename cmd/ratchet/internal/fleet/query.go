package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/jq"
)

// A Query picks devices by jq over {device, state, since, stale, facts, health,
// alerts, jobs}. The facts can also be named as a job's target names them.
type Query struct {
	Text string // the jq
	expr *jq.Expr
}

// term is a shortcut, such as site=berlin or agent<1.4.
var term = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9_-]*)(!=|<=|>=|=|<|>)([^\s=()|"]+)$`)

// ParseQuery reads jq, or shortcuts with spaces between them, which all must hold.
// Several texts must all hold, too. None picks every device.
func ParseQuery(texts ...string) (*Query, error) {
	var parts []string
	for _, text := range texts {
		parts = append(parts, meaning(text)...)
	}
	q := &Query{Text: strings.Join(parts, " and ")}
	if q.Text == "" {
		return q, nil
	}
	var err error
	if q.expr, err = jq.Compile(q.Text); err != nil {
		return nil, err
	}
	return q, nil
}

// meaning is the jq of a text: its own, or that of its shortcuts.
func meaning(text string) []string {
	var parts []string
	for _, word := range strings.Fields(text) {
		m := term.FindStringSubmatch(word)
		if m == nil {
			return []string{strings.TrimSpace(text)}
		}
		parts = append(parts, shortcut(m[1], m[2], m[3]))
	}
	return parts
}

// places are where shortcuts look, by their names; any other name is a tag's.
var places = map[string]string{"device": ".device", "arch": ".facts.board.arch", "model": ".facts.board.model", "os": ".facts.os.name"}

// listed are what shortcuts look for in lists.
var listed = map[string]string{"group": "any(.facts.groups // [] | .[]; . == %s)", "alert": "any(.alerts[]; .name == %s)",
	"severity": "any(.alerts[]; .severity == %s)", "job": "(.jobs | has(%s))"}

func shortcut(name, op, value string) string {
	text, _ := json.Marshal(value) // a string always encodes
	if form, ok := listed[name]; ok && (op == "=" || op == "!=") {
		means := fmt.Sprintf(form, text)
		if op == "!=" {
			means = "(" + means + " | not)"
		}
		return means
	}
	if op == "=" {
		op = "=="
	}
	switch {
	case name == "agent" || name == "version":
		return versionTerm(op, value)
	case name == "stale":
		return ".stale " + op + " " + value
	case name == "state" && !slices.Contains([]string{Online, Offline, Stale}, value):
		return fmt.Sprintf("any(.jobs[]; .state %s %s)", op, text)
	case name == "state":
		return ".state " + op + " " + string(text)
	}
	return cmp.Or(places[name], ".facts.tags["+quote(name)+"]") + " " + op + " " + string(text)
}

func quote(s string) string {
	q, _ := json.Marshal(s) // a string always encodes
	return string(q)
}

// versionTerm compares versions number by number.
func versionTerm(op, value string) string {
	value = strings.TrimPrefix(value, "v")
	if !regexp.MustCompile(`^\d+(\.\d+)*$`).MatchString(value) {
		return ".facts.agent " + op + " " + quote(value)
	}
	const numbers = `(.facts.agent // "" | ltrimstr("v") | split("-") | first | split(".") | map(tonumber))`
	return numbers + " " + op + " [" + strings.ReplaceAll(value, ".", ",") + "]"
}

// Names reports whether the query says something about a part, such as jobs, which
// is read only then.
func (q *Query) Names(part string) bool { return strings.Contains(q.Text, part) }

// States of a device.
const (
	Online  = "online"
	Offline = "offline"
	Stale   = "stale" // it says online, and nothing came while somebody listened
)

// State is the device's. Listened says that somebody listened long enough to hear
// of every device that is there.
func (d *Device) State(listened bool) string {
	switch {
	case !d.Presence.Online:
		return Offline
	case listened && !d.live:
		return Stale
	}
	return Online
}

// Picks reports whether the query is true of a device. It is not true of one on
// which it fails, as with a job's target.
func (q *Query) Picks(d *Device, listened bool) bool {
	if q.expr == nil {
		return true
	}
	input, err := jq.Input(d.seen(listened, q))
	if err != nil {
		return false
	}
	yes, err := q.expr.Bool(context.Background(), input) // Bool bounds itself
	return err == nil && yes
}

// seen is what a query sees of a device.
func (d *Device) seen(listened bool, q *Query) map[string]any {
	all := map[string]any{}
	if facts := map[string]json.RawMessage{}; json.Unmarshal(d.Facts, &facts) == nil {
		for name, value := range facts {
			all[name] = value
		}
		all["facts"] = d.Facts
	}
	all["device"], all["state"], all["since"] = d.ID, d.State(listened), d.Presence.Since
	all["stale"], all["alerts"], all["jobs"] = nil, slices.Collect(maps.Values(d.Alerts)), map[string]any{}
	if listened {
		all["stale"] = d.State(listened) == Stale
	}
	if json.Valid(d.Health) {
		all["health"] = d.Health
	}
	if q.Names("jobs") {
		all["jobs"] = d.Jobs
	}
	if len(d.Alerts) == 0 {
		all["alerts"] = []any{}
	}
	return all
}

// AlertLine is one alert that a device raises.
type AlertLine struct {
	Device   string          `json:"device"`
	Name     string          `json:"name"`
	Severity string          `json:"severity"`
	Since    executor.Time   `json:"since,omitzero"`
	Value    json.RawMessage `json:"value,omitempty"`
	Rule     string          `json:"rule"`
}

var severities = []string{"critical", "warning", "info"}

// AlertLines lists what the devices raise that a query picks, what is critical
// first.
func (f *Fleet) AlertLines(q *Query) []AlertLine {
	var lines []AlertLine
	for _, d := range f.Devices() {
		if len(d.Alerts) == 0 || !q.Picks(d, false) {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(d.Alerts)) {
			a := d.Alerts[name]
			lines = append(lines, AlertLine{d.ID, name, a.Severity, a.Since, a.Value, a.Rule})
		}
	}
	slices.SortStableFunc(lines, func(a, b AlertLine) int {
		return cmp.Compare(rank(a.Severity), rank(b.Severity))
	})
	return lines
}

func rank(severity string) int {
	if i := slices.Index(severities, severity); i >= 0 {
		return i
	}
	return len(severities)
}
