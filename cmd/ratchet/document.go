package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// A document is a job's text as its top-level members in their order, each with
// its exact value: so a member can be added without changing the others.
type document struct {
	members []member
	exact   []byte // as it was read, while nothing was changed
}

type member struct {
	name  string
	value json.RawMessage
}

func splitDocument(text []byte) (document, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return document{}, errors.New("a job is an object with id and steps")
	}
	d := document{exact: text}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return document{}, err
		}
		m := member{name: fmt.Sprint(tok)}
		if err := dec.Decode(&m.value); err != nil {
			return document{}, err
		}
		d.members = append(d.members, m)
	}
	return d, nil
}

// text is what was read, or else the members joined again.
func (d document) text() []byte {
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

func (d document) index(name string) int {
	return slices.IndexFunc(d.members, func(m member) bool { return m.name == name })
}

// with returns the document with the member set to a value.
func (d document) with(name string, value json.RawMessage) document {
	changed, set := slices.Clone(d.members), member{name, value}
	if i := d.index(name); i >= 0 {
		changed[i] = set
	} else {
		changed = slices.Insert(changed, min(1, len(changed)), set) // behind the id, where people look
	}
	return document{members: changed}
}

// quoted is s as a JSON string.
func quoted(s string) []byte {
	q, _ := json.Marshal(s) // a string always encodes
	return q
}
