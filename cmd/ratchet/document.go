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
type document []member

type member struct {
	name  string
	value json.RawMessage
}

func splitDocument(text []byte) (document, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, errors.New("a job is an object with id and steps")
	}
	var d document
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: fmt.Sprint(tok)}
		if err := dec.Decode(&m.value); err != nil {
			return nil, err
		}
		d = append(d, m)
	}
	return d, nil
}

// text joins the members again.
func (d document) text() []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range d {
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
	return slices.IndexFunc(d, func(m member) bool { return m.name == name })
}

// with returns the document with the member set to a string.
func (d document) with(name, value string) document {
	set := member{name, quoted(value)}
	if i := d.index(name); i >= 0 {
		d = slices.Clone(d)
		d[i] = set
		return d
	}
	return slices.Insert(slices.Clone(d), min(1, len(d)), set) // behind the id, where people look
}

// quoted is s as a JSON string.
func quoted(s string) []byte {
	q, _ := json.Marshal(s) // a string always encodes
	return q
}
