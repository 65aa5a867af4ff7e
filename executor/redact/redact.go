// Package redact hides secrets in texts, in whatever form they stand there: as
// JSON, in a URL, in base64 or hex, a private key in any of its encodings. It
// does not know what is secret; its caller does.
package redact

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Mask is what stands where a secret was.
const Mask = "********"

// minSecret is the shortest text that is masked: a shorter one would hide half
// of every output, and guard nothing.
const minSecret = 4

// minLine is the shortest line of a private key that is masked by itself. The
// last one may be shorter: masked wherever it stands, "AQ==" would hide what is
// no secret; it is masked behind the line before it.
const minLine = 8

// Secrets hides texts in what leaves the device. They are also known in other
// forms: a text as JSON, in a URL and in base64; word by word where it has
// several; a private key however it is encoded and broken into lines, in base64
// or hex. The zero value hides nothing.
type Secrets struct {
	forms []string // longest first
	keys  []string // what is secret of private keys, see key.go
	lines []string // of their files
}

// New makes out the forms, which takes a while: keep what it returns.
func New(texts []string) Secrets {
	var s Secrets
	for _, text := range texts {
		s.forms = append(s.forms, forms(text)...)
		s.keys, s.lines = append(s.keys, keyForms(text)...), append(s.lines, keyLines(text)...)
	}
	s.forms = slices.DeleteFunc(s.forms, func(form string) bool { return len(form) < minSecret })
	slices.SortFunc(s.forms, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	s.forms = slices.Compact(s.forms)
	return s
}

// Hide masks the secrets in text.
func (s Secrets) Hide(text string) string {
	text = s.hideKeys(text)
	for _, form := range s.forms {
		text = strings.ReplaceAll(text, form, Mask)
	}
	return text
}

// forms are a text as it may stand somewhere.
func forms(text string) []string {
	all := []string{text, url.QueryEscape(text), url.PathEscape(text)}
	if escaped, err := json.Marshal(text); err == nil { // as it stands in a result
		all = append(all, string(escaped[1:len(escaped)-1]))
	}
	for _, within := range encoded([]byte(text)) {
		if len(within) >= minLine { // such as the token of a login
			all = append(all, within)
		}
	}
	if isKey(text) { // its words are those of any key, and its lines another matter
		return all
	}
	return append(all, strings.Fields(text)...)
}

// JSON hides secrets in a JSON text; it is nil for what is none. A secret may
// be written in it in more ways than one, and one that looks like a number may
// stand for one: so it is its values that are looked at.
func JSON(data json.RawMessage, hide func(string) string) json.RawMessage {
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
