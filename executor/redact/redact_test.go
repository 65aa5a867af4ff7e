package redact

import (
	"encoding/json"
	"testing"
)

// A secret may be a number, and a text in JSON can be written in many ways.
func TestAResultStaysJSONWhenItIsHidden(t *testing.T) {
	hide := func(s string) string { return New([]string{"4711", "pass/wörd", "true"}).Hide(s) }
	for in, want := range map[string]string{
		`{"b":1,"a":"x"}`:             `{"b":1,"a":"x"}`,
		`{"records":4711}`:            `{"records":"********"}`,
		`{"a":["pass\/w\u00f6rd",1]}`: `{"a":["********",1]}`,
		`{"pass/wörd":true}`:          `{"********":true}`,
		`no JSON`:                     ``,
	} {
		got := JSON(json.RawMessage(in), hide)
		if string(got) != want {
			t.Errorf("%s became %s, want %s", in, got, want)
		}
	}
}
