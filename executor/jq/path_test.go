package jq

import (
	"fmt"
	"reflect"
	"testing"
)

func TestAPathIsFieldNamesAlone(t *testing.T) {
	for src, want := range map[string]Path{
		".": nil, ".a": {"a"}, ".a.b_2": {"a", "b_2"}, `."a b"`: {"a b"}, `.["a b"].c`: {"a b", "c"}, `.a["b"]."c.d"`: {"a", "b", "c.d"}, ` .a `: {"a"}, `.a."ü\n"`: {"a", "ü\n"},
	} {
		if got, err := ParsePath(src); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %q, %v, want %q", src, got, err, want)
		}
	}
	for _, src := range []string{
		"", "a", ".a.", "..", ".a[0]", ".a[]", ".a[1:2]", ".a[.b]", ".a?", ".a | .b", ".a, .b", "-.a", "$x", "input", "[.a]", "{a}", `"a"`, `."\(.x)"`, `.["a" + "b"]`, ".a // .b", "def f: .a; f", ".a as $x | .b", `.["a","b"]`, ".a = 1", `import "x" as x; .a`,
	} {
		if got, err := ParsePath(src); err != errNoPath {
			t.Errorf("%s: got %q, %v, want %v", src, got, err, errNoPath)
		}
	}
}

// What a Reader of paths leaves out is not missed: each path leads to the same.
func TestAReaderOfPathsMakesWhatTheyLeadTo(t *testing.T) {
	paths := []Path{{"a"}, {"a", "b"}, {"list", "x"}, {"n"}, {"sensor", "none"}}
	for _, some := range [][]Path{nil, {nil}, paths, paths[1:3], paths[3:]} {
		r := ReaderOf(some)
		for _, text := range []string{`{"a":{"b":[1,{"c":2}],"d":1},"list":[{"x":1}],"n":2.5,"other":[{}]}`, `{"a":null,"list":{"x":{"y":0}},"sensor":"s"}`, `[1]`, `"a"`, `null`} {
			got, err := r.Value([]byte(text))
			want, wantErr := ParseValue(text)
			if err != nil || wantErr != nil {
				t.Fatal(err, wantErr)
			}
			for _, p := range some {
				if g, w := p.In(got), p.In(want); !reflect.DeepEqual(g, w) {
					t.Errorf("%q of %s: got %v, want %v", p, text, g, w)
				}
			}
		}
	}
	got, err := ReaderOf(paths[1:2]).Value([]byte(`{"a":{"b":1,"c":2},"d":3}`))
	if fmt.Sprint(got) != "map[a:map[b:1]]" || err != nil {
		t.Errorf("got %v, %v, want only what the path leads to", got, err)
	}
}
