package executor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/executor/jq"
)

// Text is a string among a step's parameters that may be left to the device to
// fill in: {"jq": "..."} or {"secret": "name"}. Before Run it is filled in; at
// Check it may still be open.
type Text struct {
	S    string
	Open bool // still to be filled in; S is empty
}

// Word is a Text that cannot be a secret: it ends up where others can read it,
// such as on a command line or in a URL.
type Word struct{ Text }

// Texts are the texts of argv; open reports whether some are still to be filled in,
// so that nothing can be said of them yet.
func Texts(argv []Word) (list []string, open bool) {
	for _, w := range argv {
		list = append(list, w.S)
		open = open || w.Open
	}
	return list, open
}

// source is where the value of an open Text comes from.
type source struct {
	JQ     string `json:"jq"`
	Secret string `json:"secret"`
}

// UnmarshalJSON reads a string, or an object that says where it comes from.
func (x *Text) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, &x.S) == nil && data[0] == '"' {
		x.Open = false
		return nil
	}
	_, err := readSource(data)
	*x = Text{Open: err == nil}
	return err
}

// UnmarshalJSON is Text's, without secrets.
func (x *Word) UnmarshalJSON(data []byte) error {
	if err := x.Text.UnmarshalJSON(data); err != nil || !x.Open {
		return err
	}
	if s, err := readSource(data); err != nil || s.Secret != "" {
		return errors.New("a secret must not stand here, where others can read it: want a string or {\"jq\": ...}")
	}
	return nil
}

func readSource(data []byte) (source, error) {
	var s source
	if err := Decode(data, &s); err != nil || (s.JQ == "") == (s.Secret == "") {
		return s, errors.New("want a string, {\"jq\": \"...\"} or {\"secret\": \"name\"}")
	}
	if s.Secret != "" && !ValidID(s.Secret) {
		return s, fmt.Errorf("secret: %q: want a name of A-Z a-z 0-9 _ -", s.Secret)
	}
	_, err := compileIf(s.JQ)
	return s, err
}

// A Place is how a parameter takes values that are left to the device.
type Place int

const (
	One    Place = iota + 1 // a text
	Words                   // a list, the command line of a program: no word becomes an option
	Values                  // texts or lists of them, by name
)

// SecretsIn are the names of the secrets that parameters use.
func SecretsIn(with json.RawMessage) (names []string) {
	var v any
	if json.Unmarshal(with, &v) != nil {
		return nil
	}
	return secretsIn(v)
}

func secretsIn(v any) (names []string) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			names = append(names, secretsIn(e)...)
		}
	case map[string]any:
		if name, ok := v["secret"].(string); ok {
			names = append(names, name)
		}
		for _, e := range v {
			names = append(names, secretsIn(e)...)
		}
	}
	return names
}

// A filler fills in what a step's parameters leave to the device.
type filler struct {
	ctx     context.Context
	env     map[string]any
	input   any // env for the engine, made when first needed
	secret  func(name string) (string, error)
	places  map[string]Place
	secrets []string // that were filled in
}

// fill returns the parameters with every open Text filled in.
func (f *filler) fill(with json.RawMessage) (json.RawMessage, error) {
	if !bytes.Contains(with, []byte(`"jq"`)) && !bytes.Contains(with, []byte(`"secret"`)) {
		return with, nil
	}
	dec := json.NewDecoder(bytes.NewReader(with))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if err := f.walk(v); err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

func (f *filler) walk(v any) error {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if err := f.walk(e); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if err := f.field(v, key); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
	}
	return nil
}

// field fills in one parameter by what its name allows.
func (f *filler) field(m map[string]any, key string) (err error) {
	switch f.places[key] {
	case One:
		m[key], err = f.text(m[key])
	case Words:
		before := slices.Clone(asList(m[key]))
		if err = f.list(m[key]); err == nil {
			err = noOptions(before, asList(m[key]))
		}
	case Values:
		values, _ := m[key].(map[string]any)
		for name := range values {
			if _, several := values[name].([]any); several {
				err = f.list(values[name])
			} else {
				values[name], err = f.text(values[name])
			}
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	default:
		err = f.walk(m[key])
	}
	return err
}

func asList(v any) []any {
	list, _ := v.([]any)
	return list
}

// noOptions refuses a word of a command line that the device filled in and that
// the program would take for an option: whoever names a network or a file could
// else tell the program what to do. Where the author wrote the dash, or a --
// before it, it is meant.
func noOptions(before, words []any) error {
	for i, word := range words {
		open, filled := before[i].(map[string]any)
		src, _ := open["jq"].(string)
		text, _ := word.(string)
		switch {
		case word == "--" && !filled:
			return nil
		case filled && strings.HasPrefix(text, "-") && !strings.HasPrefix(strings.TrimSpace(src), `"-`):
			return fmt.Errorf("[%d]: its value %q begins with -, as an option does: put \"--\" before it, or begin the expression with the option", i, text)
		}
	}
	return nil
}

func (f *filler) list(v any) error {
	words := asList(v)
	for i := range words {
		word, err := f.text(words[i])
		if err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
		words[i] = word
	}
	return nil
}

// text is the value of one Text.
func (f *filler) text(v any) (any, error) {
	m, open := v.(map[string]any)
	if !open {
		return v, nil
	}
	if m["jq"] == nil && m["secret"] == nil { // a plugin's own, of the same name
		return v, f.walk(v)
	}
	if name, ok := m["secret"].(string); ok {
		value, err := f.secret(name)
		if err == nil && len(value) > 0 {
			f.secrets = append(f.secrets, value)
		}
		return value, err
	}
	src, _ := m["jq"].(string)
	e, err := jq.Compile(src)
	if err != nil {
		return nil, err
	}
	if f.input == nil {
		if f.input, err = jq.Input(f.env); err != nil {
			return nil, err
		}
	}
	value, err := e.Eval(f.ctx, f.input)
	if err != nil {
		return nil, err
	}
	return asText(value)
}

// asText writes a scalar; anything else is no value for a text.
func asText(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case bool, int, float64, *big.Int:
		text, err := json.Marshal(v)
		return string(text), err
	}
	return "", fmt.Errorf("jq gives %s: want a string, a number, true or false", typeName(v))
}

func typeName(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case []any:
		return "a list"
	}
	return "an object"
}
