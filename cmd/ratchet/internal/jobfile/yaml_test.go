package jobfile

import (
	"strings"
	"testing"
)

func TestYAMLValuesStayExact(t *testing.T) {
	for _, c := range []struct{ yaml, want string }{
		{"a: 1", `{"a":1}`},
		{"a: 12345678901234567890", `{"a":12345678901234567890}`},
		{"a: 1.10", `{"a":1.10}`},
		{"a: 1e3", `{"a":1e3}`},
		{"a: -0.5", `{"a":-0.5}`},
		{`a: "0644"`, `{"a":"0644"}`},
		{"a: yes", `{"a":"yes"}`},
		{"a: no", `{"a":"no"}`},
		{"a: True", `{"a":true}`},
		{"a: ~", `{"a":null}`},
		{"a:", `{"a":null}`},
		{"a: 2026-11-23T09:00:00Z", `{"a":"2026-11-23T09:00:00Z"}`},
		{"a: 2026-11-23", `{"a":"2026-11-23"}`},
		{"a: <b> & \"c\"", `{"a":"<b> & \"c\""}`},
		{"a: |\n  one\n  two\n", `{"a":"one\ntwo\n"}`},
		{"a: grün", `{"a":"grün"}`},
		{"a: !!str 1", `{"a":"1"}`},
		{"b: [1, {c: []}]\na: {}", `{"b":[1,{"c":[]}],"a":{}}`},
		{"a: &x [1]\nb: *x", `{"a":[1],"b":[1]}`},
		{`{"a": "JSON too"}`, `{"a":"JSON too"}`},
	} {
		got, _, err := FromYAML([]byte(c.yaml))
		if err != nil || string(got) != c.want {
			t.Errorf("FromYAML(%q) = %s, %v; want %s", c.yaml, got, err, c.want)
		}
	}
}

func TestYAMLThatWouldSurpriseIsRefused(t *testing.T) {
	for _, c := range []struct{ yaml, want string }{
		{"a: 1\na: 2", "a: given twice"},
		{"a: {b: 1, b: 1}", "a.b: given twice"},
		{"a: 0644", "no plain decimal number"},
		{"a: 0x1F", "no plain decimal number"},
		{"a: 1_000", "no plain decimal number"},
		{"a: .inf", "no plain decimal number"},
		{"a: +1", "no plain decimal number"},
		{"1: a", "a key must be a string"},
		{"true: a", "a key must be a string"},
		{"[a]: b", "a key must be a string"},
		{"a: &x {c: 1}\nb:\n  <<: *x", "a key must be a string"},
		{"a: !secret b", "the tag !secret means nothing"},
		{"a: !!binary aGk=", "the tag !!binary means nothing"},
		{"a: 1\n---\nb: 2", "a second YAML document"},
		{"a: [", "not YAML"},
		{"a: \t- b", "not YAML"},
		{"a: *x", "not YAML"},
		{"# nothing", "the file is empty"},
		{"a: &x [*x]", "nested more than"},
		{strings.Repeat("[", 100) + strings.Repeat("]", 100), "nested more than"},
		{laughs(), "grows above 131072 bytes"},
	} {
		got, _, err := FromYAML([]byte(c.yaml))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("FromYAML(%.60q) = %s, %v; want an error with %q", c.yaml, got, err, c.want)
		}
	}
}

// laughs is a short text that aliases blow up to gigabytes.
func laughs() string {
	text := "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n"
	for i := 1; i < 10; i++ {
		last := string(rune('0' + i - 1))
		this := string(rune('0' + i))
		text += "a" + this + ": &a" + this + " [" + strings.TrimSuffix(strings.Repeat("*a"+last+", ", 9), ", ") + "]\n"
	}
	return text
}

func FuzzYAML(f *testing.F) {
	f.Add("a: [1, &x {b: c}, *x]")
	f.Add("id: x\nsteps:\n- {name: a, command: {argv: [a]}}")
	f.Fuzz(func(t *testing.T, text string) {
		json, _, err := FromYAML([]byte(text))
		if err != nil {
			return
		}
		again, _, err := FromYAML(json)
		if err == nil && string(again) != string(json) {
			t.Errorf("%q gives %s, and that gives %s", text, json, again)
		}
	})
}
