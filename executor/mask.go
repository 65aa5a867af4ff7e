package executor

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// masked is what stands where a secret was.
const masked = "********"

// minSecret is the shortest text that is masked: a shorter one would hide half
// of every output, and guard nothing.
const minSecret = 4

// Mask hides secrets in what leaves the device, line by line for those that
// have several.
func Mask(text string, secrets []string) string {
	for _, s := range lines(secrets) {
		text = strings.ReplaceAll(text, s, masked)
	}
	return text
}

// lines are the secrets and each of their lines, longest first.
func lines(secrets []string) []string {
	var all []string
	for _, s := range secrets {
		all = append(all, s)
		all = append(all, strings.Fields(s)...)
		if escaped, err := json.Marshal(s); err == nil { // as it stands in a result
			all = append(all, string(escaped[1:len(escaped)-1]))
		}
	}
	all = slices.DeleteFunc(all, func(s string) bool { return len(s) < minSecret })
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(all)
}

// hide hides what this device keeps secret, and what was filled in for t, in
// whatever t has to say.
func (w *walk) hide(t *Task, text string) string {
	text = Mask(text, t.secrets)
	if w.Mask == nil {
		return text
	}
	return w.Mask(text)
}

// hidden is an error that is told with its secrets hidden.
type hidden struct {
	error
	text string
}

func (h hidden) Error() string { return h.text }
func (h hidden) Unwrap() error { return h.error }

// hideError is err with its secrets hidden; nil stays nil.
func (w *walk) hideError(t *Task, err error) error {
	if err == nil {
		return nil
	}
	return hidden{err, w.hide(t, err.Error())}
}

// hideIn hides secrets in a JSON text. A secret may be written in it in more
// ways than one, and one that looks like a number may stand for one: so it is
// its values that are looked at.
func hideIn(data json.RawMessage, hide func(string) string) json.RawMessage {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return nil
	}
	found := false
	v = hideValue(v, func(s string) string {
		hid := hide(s)
		found = found || hid != s
		return hid
	})
	if !found {
		return data
	}
	data, _ = json.Marshal(v) // of what was decoded
	return data
}

func hideValue(v any, hide func(string) string) any {
	switch v := v.(type) {
	case string:
		return hide(v)
	case json.Number:
		if text := hide(v.String()); text != v.String() {
			return text
		}
	case []any:
		for i := range v {
			v[i] = hideValue(v[i], hide)
		}
	case map[string]any:
		for _, key := range slices.Collect(maps.Keys(v)) {
			value := hideValue(v[key], hide)
			delete(v, key)
			v[hide(key)] = value
		}
	}
	return v
}
