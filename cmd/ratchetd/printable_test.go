package main

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestOnlyWhatIsPrintableIsWritten(t *testing.T) {
	for text, want := range map[string]string{
		"a\tgrün ■\n":        "a\tgrün ■\n",
		"\x1b[2J\r\x00":      `\u001b[2J\u000d\u0000`,
		"\u009b\u202e\u200b": `\u009b\u202e\u200b`,
		"\U000e0041":         `\udb40\udc41`,
		"\xff":               `\ufffd`,
	} {
		var out bytes.Buffer
		if n, err := (printable{&out}).Write([]byte(text)); n != len(text) || err != nil || out.String() != want {
			t.Errorf("%+q: got %+q, %d, %v, want %+q", text, out.String(), n, err, want)
		}
	}
}

func TestJSONStaysWhatItWas(t *testing.T) {
	const value = "\x1b\u009b\u202e\U000e0041ü"
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := (printable{&out}).Write(text); err != nil {
		t.Fatal(err)
	}
	var got string
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got != value {
		t.Errorf("got %+q, %v, want %+q", got, err, value)
	}
}
