package jobfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// A Document is a job's text as its top-level members in their order, each with
// its exact value: so a member can be added without changing the others.
type Document struct {
	members []member
	exact   []byte // as it was read, while nothing was changed
}

type member struct {
	name  string
	value json.RawMessage
}

// Split reads a job's text. It does not judge the members.
func Split(text []byte) (Document, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return Document{}, errors.New("a job is an object with id and steps")
	}
	d := Document{exact: text}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return Document{}, err
		}
		m := member{name: fmt.Sprint(tok)}
		if err := dec.Decode(&m.value); err != nil {
			return Document{}, err
		}
		d.members = append(d.members, m)
	}
	return d, nil
}

// Text is what was read, or else the members joined again.
func (d Document) Text() []byte {
	if d.exact != nil {
		return d.exact
	}
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range d.members {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(quoted(m.name))
		b.WriteByte(':')
		b.Write(m.value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

func (d Document) index(name string) int {
	return slices.IndexFunc(d.members, func(m member) bool { return m.name == name })
}

// With returns the document with a member set to a value, which must be one
// that JSON can hold.
func (d Document) With(name string, value any) Document {
	raw, _ := json.Marshal(value)
	changed, set := slices.Clone(d.members), member{name, raw}
	if i := d.index(name); i >= 0 {
		changed[i] = set
	} else {
		changed = slices.Insert(changed, min(1, len(changed)), set) // after the id, where people look
	}
	return Document{members: changed}
}

// Without returns the document without these members.
func (d Document) Without(names ...string) Document {
	return Document{members: slices.DeleteFunc(slices.Clone(d.members), func(m member) bool { return slices.Contains(names, m.name) })}
}

func quoted(s string) []byte {
	q, _ := json.Marshal(s) // a string always encodes
	return q
}
