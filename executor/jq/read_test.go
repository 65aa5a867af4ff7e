package jq

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// bothWays reads the text with a Reader that wants all, and with encoding/json.
func bothWays(t *testing.T, text string) {
	t.Helper()
	r := &Reader{want: everything, names: map[string]string{}}
	for range 2 { // the names are known the second time
		got, gotErr := r.Value([]byte(text))
		want, wantErr := ParseValue(text)
		if fmt.Sprint(gotErr) != fmt.Sprint(wantErr) || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: got %#v, %v, want %#v, %v", text, got, gotErr, want, wantErr)
		}
	}
	r.want = &want{}
	if _, err := r.Value([]byte(text)); (err == nil) != json.Valid([]byte(text)) {
		t.Fatalf("%q: what is not wanted is not checked: %v", text, err)
	}
}

var odd = []string{
	`{"a":1,"a":{"b":[]},"":null}`, `[1,-0,0.0,-1.5e+30,1E400,123456789012345678901234567890,1e-7]`, `"\u0041\ud83d\ude00\ud83d\ud83d\ude00\udc00x\/\b\f\n\r\t\"\\"`,
	`[]`, `{}`, ` [ ] `, `{ "a" : [ { } ] }`, `true`, `false`, `null`, `"a`, `{"a"}`, `{"a":}`, `{a:1}`, `[1,]`, `[,1]`, `{"a":1,}`, `01`, `-`, `1.`, `.5`, `1e`, `+1`, `tru`, `nulll`,
	`"\x"`, `"\u12"`, `"\ud83d\u00"`, "\"\t\"", "\"\x7f\"", `[[[`, `]`, ``, ` `, `1 2`, `{"a":1}x`, `"\ud800\ud800\udc00"`, `"\udc00\ud800"`, `[0x1]`, `[1 2]`, `{"a":1 "b":2}`, `"\`, `{"a":"\ud83`,
}

func TestAReaderReadsWhatTheLibraryReads(t *testing.T) {
	for _, text := range odd {
		bothWays(t, text)
	}
	bothWays(t, strings.Repeat("[", maxDepth)+strings.Repeat("]", maxDepth))
	bothWays(t, strings.Repeat("[", maxDepth+1)+strings.Repeat("]", maxDepth+1))
}

func FuzzReader(f *testing.F) {
	for _, text := range odd {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if utf8.ValidString(text) { // a line that is not is refused before
			bothWays(t, text)
		}
	})
}

// outcome is what a program makes of the lines, to its end or its error.
func outcome(src string, lines []string, all bool) string {
	var out strings.Builder
	var r *Reader
	at := 0
	p, err := CompileProgram(src, func() (any, error) {
		if at == len(lines) {
			return nil, io.EOF
		}
		at++
		return r.Value([]byte(lines[at-1]))
	})
	if err != nil {
		return "does not compile: " + err.Error()
	}
	r = p.NewReader()
	if all {
		r.want = everything
	}
	err = p.Run(func(value []byte) error {
		out.Write(append(value, '\n'))
		return nil
	})
	return out.String() + fmt.Sprint(err)
}

// programs are what people do with records, and what is odd enough to go wrong.
var programs = []string{
	`reduce inputs as $r (0; . + $r.n)`, `[inputs | .a.b] | add`, `inputs | select(.ok) | {sensor, n}`, `inputs | {sensor: .a.b, all: .}`, `inputs`, `[inputs] | length`,
	`reduce inputs as $r ({}; .[$r.sensor] |= {count: (.count + 1), sum: (.sum + $r.n)})`, `reduce inputs as $r ({}; .[$r.sensor] += 1)`,
	`foreach inputs as $r (0; . + $r.n; {at: $r.a.b, sum: .})`, `inputs | .list[] | .x`, `inputs | .list[]?`, `inputs | .list | length`, `inputs | .[]`, `inputs | .a[]`, `inputs | keys`,
	`inputs | .a // "none"`, `inputs | .a // .n // .list`, `inputs | if .ok then .a else .list end`, `inputs | if .ok then .n end`, `inputs | .a as $x | {x: $x, y: $x.b}`,
	`inputs as $r | $r.n`, `inputs as {n: $n} | $n`, `input.n, input.a`, `[., input, input]`, `inputs | .n as $n | select($n > 1) | .sensor`, `inputs | "\(.sensor): \(.a)"`,
	`inputs | .["a"].b`, `inputs | ."a"`, `inputs | .a["b"]`, `inputs | .list[0]`, `inputs | .list[1:]`, `inputs | .list[.n]`, `inputs | .list | map(.x)`, `inputs | .list | map(select(.x > 1)) | length`,
	`inputs | try .a.b.c catch "no"`, `inputs | .a.b.c?`, `inputs | [.n, -.n]`, `inputs | .n + .a`, `inputs | select(.a == {"b": 2})`, `inputs | del(.a)`, `inputs | .n |= . + 1`, `inputs | to_entries`,
	`inputs | path(..)`, `[inputs | .sensor] | unique`, `[inputs] | group_by(.sensor) | map({key: .[0].sensor, n: map(.n) | add})`, `def f: .n; [inputs | f]`, `label $out | foreach inputs as $r (0; . + 1; if . > 1 then $r.n, break $out else empty end)`,
	`first(inputs) | .n`, `limit(2; inputs) | .a`, `isempty(inputs)`, `inputs | .a | type`, `inputs | has("n")`, `inputs | .ok and .n`, `inputs | .ok | not`, `any(inputs; .ok)`, `[inputs | .n] | min`, `inputs | error(.sensor)`, `inputs | .a | error`,
	`inputs | @csv "\([.sensor, .n])"`, `inputs | {(.sensor // "none"): .n}`, `inputs | {sensor, "n": .n}`, `inputs | {"sensor"}`, `. as $x | inputs | .n`, `reduce (inputs | select(.ok)) as $r (0; . + $r.n)`, `reduce inputs as $r (null; $r)`, `reduce inputs as $r ([]; . + [$r.a])`, `inputs.n`, `inputs | input.n`, `inputs | $__loc__`, `inputs | .a.b | tostring`,
	`inputs | .a as $a | .list as $a | $a`, `inputs | (.a, .n) | . as $v | $v`, `inputs | ..`, `inputs | getpath(["a","b"])`, `inputs | .sensor | test("s")`, `inputs | .list | any(.x == 2)`, `inputs | .a | .b, .`, `inputs | .list | .[] | .`, `input | . as $r | [inputs | . == $r]`,
}

func randomRecord(r *rand.Rand) string {
	value := func() string {
		return []string{`1`, `2.5`, `-3`, `"s1"`, `"ä\n"`, `null`, `true`, `false`, `[]`, `{}`, `{"b":2}`, `{"b":{"c":"x"}}`, `[{"x":1,"y":[1]},{"x":2}]`, `[1,"2",null]`, `{"x":{"n":1},"y":2}`}[r.IntN(15)]
	}
	var fields []string
	for _, name := range []string{"n", "sensor", "ok", "a", "list", "other"} {
		if r.IntN(5) > 0 {
			fields = append(fields, fmt.Sprintf("%q: %s", name, value()))
		}
	}
	if r.IntN(20) == 0 {
		return value()
	}
	return "{" + strings.Join(fields, ",") + "}"
}

// same checks what programs make of records of which only what they look at was read
// against what they make of whole ones.
func same(t *testing.T, programs []string, seed uint64, rounds int) (runs, less int) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 0))
	for range rounds {
		lines := make([]string, random.IntN(4))
		for i := range lines {
			lines[i] = randomRecord(random)
		}
		for _, src := range programs {
			if got, want := outcome(src, lines, false), outcome(src, lines, true); got != want {
				t.Fatalf("%s\nover %s\ngives %s\nwant  %s", src, strings.Join(lines, "\n"), got, want)
			}
			runs++
		}
	}
	for _, src := range programs {
		if p, err := CompileProgram(src, nil); err == nil && !p.want.whole {
			less++
		}
	}
	return runs, less
}

func TestAProgramGivesTheSameWhateverIsLeftOut(t *testing.T) {
	runs, less := same(t, programs, 1, 25)
	t.Logf("%d runs of %d programs, %d of which do not read all", runs, len(programs), less)
	if less < len(programs)/2 {
		t.Errorf("only %d of %d programs read less than all", less, len(programs))
	}
}

// grow makes a program at random.
func grow(r *rand.Rand, depth int) string {
	if depth == 0 {
		return []string{".", ".n", ".a", ".a.b", ".list", ".sensor", "1", `"s1"`, "null", ".ok", "$r", "$r.a", "$r.n"}[r.IntN(13)]
	}
	f := func() string { return grow(r, depth-1) }
	switch r.IntN(16) {
	case 0:
		return "(" + f() + " | " + f() + ")"
	case 1:
		return "(" + f() + ", " + f() + ")"
	case 2:
		return "{x: " + f() + ", y: (" + f() + ")}"
	case 3:
		return "[" + f() + "]"
	case 4:
		return "select(" + f() + ")"
	case 5:
		return "(" + f() + " // " + f() + ")"
	case 6:
		return "(if " + f() + " then " + f() + " else " + f() + " end)"
	case 7:
		return "(" + f() + " == " + f() + ")"
	case 8:
		return "(" + f() + " + " + f() + ")?"
	case 9:
		return "(" + f() + " | .[]?)"
	case 10:
		return "(" + f() + " | .b?)"
	case 11:
		return "(" + f() + " as $v | " + f() + ")"
	case 12:
		return "map(" + f() + ")?"
	case 13:
		return "(" + f() + " | length)?"
	case 14:
		return "(" + f() + " and " + f() + ")"
	}
	return "(reduce " + f() + " as $w (0; " + f() + "))"
}

func TestProgramsAtRandomGiveTheSameWhateverIsLeftOut(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 0))
	list := make([]string, 400)
	for i := range list {
		list[i] = "inputs as $r | $r | " + grow(r, 3)
	}
	runs, less := same(t, list, 2, 4)
	t.Logf("%d runs of %d programs, %d of which do not read all", runs, len(list), less)
}

func FuzzReads(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 1))
		same(t, []string{"inputs as $r | $r | " + grow(r, 4), "inputs | " + grow(r, 2)}, seed, 3)
	})
}
