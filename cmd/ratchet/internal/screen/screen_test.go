package screen

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// hostile is whatever moves a cursor, hides, turns round or is no text.
var hostile = []string{"\x1b[2J", "\x1b]0;title\x07", "\u009b2J", "\x9b2J", "\u0085", "\r", "\b", "\x00", "\x7f",
	"\u202e", "\u2066", "\u200e", "\u200b", "\ufeff", "\u2028", "\u00ad", "\xff\xfe", "\U000e0041"}

func TestNothingUnprintableIsWritten(t *testing.T) {
	ways := map[string]func(*Screen, string){
		"Write": func(s *Screen, text string) { _, _ = io.WriteString(s, text) },
		"JSON": func(s *Screen, text string) {
			_ = s.JSON(map[string]any{text: text, "raw": json.RawMessage(`"` + text + `"`)})
		},
		"List":  func(s *Screen, text string) { _ = JSONList(s, []string{text, text}) },
		"Above": (*Screen).Above,
	}
	for name, write := range ways {
		for _, text := range hostile {
			var out bytes.Buffer
			write(On(&out), "a"+text+"b")
			if i := strings.IndexFunc(out.String(), unprintable); i >= 0 || !utf8.Valid(out.Bytes()) {
				t.Errorf("%s of %+q: got %+q", name, text, out.String())
			}
		}
	}
}

func unprintable(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) }

func TestALineIsOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"a\nb":       "a b",
		"a\tb\r\nc":  "a b  c",
		"a\x1b[2Jb":  "a\uFFFD[2Jb",
		"gw\u200b-1": "gw\uFFFD-1",
		"grün, ■ 日本": "grün, ■ 日本",
	} {
		if got := Line(text); got != want {
			t.Errorf("Line(%+q) = %+q, want %+q", text, got, want)
		}
	}
}

func TestJSONLosesNothing(t *testing.T) {
	value := map[string]any{"a": strings.Join(hostile[:4], "") + "\u202e\U000e0041ü😀", "b": []any{1.5, nil, true}}
	var out bytes.Buffer
	if err := On(&out).JSON(value); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"a": strings.ToValidUTF8(value["a"].(string), "\uFFFD"), "b": value["b"]}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+q, want %+q", got, want)
	}
}

func TestAListIsWhatAnEncoderWrites(t *testing.T) {
	for _, list := range [][]map[string]any{nil, {{"a": 1}}, {{"a": []int{1, 2}}, {}, {"b": "<"}}} {
		var want, got bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetIndent("", "  ")
		if err := enc.Encode(append([]map[string]any{}, list...)); err != nil {
			t.Fatal(err)
		}
		if err := JSONList(On(&got), list); err != nil {
			t.Fatal(err)
		}
		if got.String() != want.String() {
			t.Errorf("got %s, want %s", got.String(), want.String())
		}
	}
}

func TestWhatIsSentLaterStaysExact(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text := "{\"a\": \"\u009b\u202e\"}"
	if err := On(f).Exact([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(f.Name()); err != nil || string(got) != text+"\n" {
		t.Errorf("got %+q, %v, want the text", got, err)
	}
}

func TestAPictureIsRedrawnInPlaceAndOnlyWhenItChanges(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	var out bytes.Buffer
	s := On(&out)
	picture := func(text string) [][]Span {
		return [][]Span{{{Text: "gw-1 "}, {Text: text, Colour: Red}}, {{Text: "gw-2"}}}
	}
	for _, c := range []struct {
		do   func()
		want string
	}{
		{func() { s.Draw(picture("one")) }, "gw-1 one\ngw-2\n"},
		{func() { s.Draw(picture("one")) }, ""},
		{func() { s.Draw(picture("two")) }, "\x1b[2A\r\x1b[Jgw-1 two\ngw-2\n"},
		{func() { s.Above("hello") }, "\x1b[2A\r\x1b[Jhello\n"},
		{func() { s.Draw(picture("two")) }, "gw-1 two\ngw-2\n"},
		{func() { s.Draw(picture("\x1b[H\u009b")) }, "\x1b[2A\r\x1b[Jgw-1 \uFFFD[H\uFFFD\ngw-2\n"},
	} {
		out.Reset()
		if c.do(); out.String() != c.want {
			t.Errorf("got %q, want %q", out.String(), c.want)
		}
	}
	t.Setenv("NO_COLOR", "")
	out.Reset()
	if s.Draw(picture("red")); !strings.Contains(out.String(), "gw-1 \x1b[31mred\x1b[0m\n") {
		t.Errorf("got %q, want red in red", out.String())
	}
}

func FuzzPrintable(f *testing.F) {
	for _, text := range hostile {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		raw, _ := json.Marshal(text)
		for _, got := range []string{Line(text), string(printable([]byte(text))), string(escaped(raw))} {
			if strings.IndexFunc(got, unprintable) >= 0 || !utf8.ValidString(got) {
				t.Errorf("%+q became %+q", text, got)
			}
		}
	})
}
