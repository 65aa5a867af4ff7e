package jq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// device is what expressions see in these tests.
const device = `{
	"facts": {"device": "gw-07", "groups": ["routers"], "tags": {"site": "berlin"}, "board": {"arch": "mipsle", "memory": 67108864},
		"network": [{"name": "eth0", "mac": "02:00"}, {"name": "wlan0", "mac": "02:01"}]},
	"health": {"disk": [{"path": "/", "free": 30000000}, {"path": "/tmp", "free": 100}], "cpu": {"percent": 12.5}},
	"steps": {"check": {"state": "succeeded", "output": "very slow\n", "result": null}},
	"vars": {"n": 7, "lan": "192.168.7.1", "big": 9007199254740993},
	"alert": null}`

func TestExpressionsGiveWhatJqGives(t *testing.T) {
	input := deviceInput(t)
	for _, c := range []struct{ src, want string }{
		{`.facts.tags.site == "berlin" and .facts.board.arch == "mipsle"`, `true`},
		{`any(.health.disk[]; .path == "/" and .free > 20000000)`, `true`},
		{`.steps.check.output | contains("slow")`, `true`},
		{`"10.0.0.\(.vars.n)"`, `"10.0.0.7"`},
		{`"\(.facts.groups) \(.vars.none) \("x")"`, `"[\"routers\"] null x"`},
		{`.facts.device | split("-") | last | tonumber`, `7`},
		{`.vars.none // "default"`, `"default"`},
		{`.vars.lan | split(".") | .[:3] + ["254"] | join(".")`, `"192.168.7.254"`},
		{`.facts.network | map(select(.name | test("^ETH"; "i"))) | length`, `1`},
		{`.vars.n as $n | [.facts.network[] | {name, id: ($n * 10)}]`, `[{"id":70,"name":"eth0"},{"id":70,"name":"wlan0"}]`},
		{`[.health.disk[].free] | add / length`, `15000050`},
		{`.health.disk | sort_by(.free) | map(.path)`, `["/tmp","/"]`},
		{`.health.disk | min_by(.free).path`, `"/tmp"`},
		{`.health.disk | max_by(.free) | .path`, `"/"`},
		{`[3,1,2,1] | [sort, unique, reverse, min, max, first, last]`, `[[1,1,2,3],[1,2,3],[1,2,1,3],1,3,3,1]`},
		{`[1,2,3] | group_by(. % 2)`, `[[2],[1,3]]`},
		{`[{a:1},{a:1,b:2}] | unique_by(.a)`, `[{"a":1}]`},
		{`.facts.tags | to_entries`, `[{"key":"site","value":"berlin"}]`},
		{`.facts.tags | keys, has("site")`, `["site"]`},
		{`[true, false] | any, all`, `true`},
		{`[1, 2] | all(. > 0) and (any(. > 2) | not)`, `true`},
		{`all(.health.disk[]; .free > 50)`, `true`},
		{`if .vars.n > 7 then "more" elif .vars.n == 7 then "same" else "less" end`, `"same"`},
		{`[.vars.n | (. - 8, . / 2, -., . % 4)]`, `[-1,3.5,-7,3]`},
		{`[1.5, -1.5 | floor, ceil, round, fabs]`, `[1,2,2,1.5,-2,-1,-2,1.5]`},
		{`[9 | sqrt, abs]`, `[3,9]`},
		{`.facts | {arch: .board.arch, "site": .tags.site, ("a" + "b"): 1, "c\(1)": 2}`, `{"ab":1,"arch":"mipsle","c1":2,"site":"berlin"}`},
		{`{a: {b: 1}} + {c: 2} | contains({a: {b: 1}})`, `true`},
		{`["foobar", "baz"] | contains(["oba"]), (["baz"] | inside(["foobar", "baz"]))`, `true`},
		{`[["a", 1], [1, null]] | map(contains([1]))`, `[true,true]`},
		{`"site" | in({site: 1})`, `true`},
		{`" Ab " | trim | [ascii_downcase, ascii_upcase, ltrimstr("A"), rtrimstr("b"), startswith("A"), endswith("x")]`, `["ab","AB","b","A",true,false]`},
		{`[.facts.device[]?, (.facts.none | .x?), first(.vars[]), isempty(empty)]`, `[null,9007199254740993,true]`},
		{`[.[] | type] | unique`, `["null","object"]`},
		{`.facts.network[0]["name"], .facts.network[-1]."mac"`, `"eth0"`},
		{`[1, [2], null, "x" | tostring]`, `["1","[2]","null","x"]`},
		{`[null, 1 | values]`, `[1]`},
		{`"aé" | length`, `2`},
		{`null + 1, [1] + [2], "a" + "b"`, `1`},
		{`.vars.big`, `9007199254740993`},
		{`.vars.big == 9007199254740993`, `true`},
		{`3000000000 * 2`, `6000000000`},
		{"1 # a comment", `1`},
	} {
		got, err := evaluate(c.src, input)
		if err != nil || got != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.src, got, err, c.want)
		}
	}
}

func TestExpressionsOutsideTheSubsetAreRefusedByName(t *testing.T) {
	for src, want := range map[string]string{
		`range(9)`: "range/1", `[limit(3; repeat(1))]`: "repeat/1", `recurse`: "recurse/0", `..`: "..",
		`def f: f; f`: "def", `reduce .[] as $x (0; . + $x)`: "reduce", `foreach .[] as $x (0; 1)`: "foreach",
		`tojson`: "tojson/0", `env`: "env/0", `$ENV`: "$ENV", `{$ENV}`: "$ENV", `input`: "input/0", `@sh "\(.)"`: "@format",
		`.a = 1`: "=", `.a |= 1`: "|=", `.a += 1`: "+=", `try error`: "try", `label $f | 1`: "label",
		`. as [$a] | $a`: "as", `. as {a: $a} ?// $a | $a`: "as", `import "a" as a; 1`: "import", `module {}; 1`: "module",
		`$nobody`: "$nobody", `debug`: "debug/0", `halt`: "halt/0", `getpath(["a"])`: "getpath/1", `walk(.)`: "walk/1",
		`_fits`: "_fits/0", `_our_map(.)`: "_our_map/1", `map(range(9))`: "range/1", `.a[range(9)]`: "range/1",
		`{a: range(9)}`: "range/1", `{(input): 1}`: "input/0", `"\(range(9))"`: "range/1", `-range(9)`: "range/1",
		`if . then 1 else range(9) end`: "range/1", `if 1 then 1 elif input then 2 end`: "input/0", `.a[1:range(9)]`: "range/1",
		`[.[] | "a\(input)"?]`: "input/0", `{"a\(1)"}`: "needs a value", `a::b`: "a::b/0",
		`.a[`: "byte 3", `.a | )`: "byte 6", ``: "missing query", `"abc`: "unterminated", `1e999`: "1e999",
		`test("(")`: "missing closing", `test("(a{500}){9}")`: "repeat", strings.Repeat(" ", 5000) + "1": "5001 bytes",
	} {
		_, err := Compile(src)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: got error %v, want one that names %s", src, err, want)
		}
	}
}

func TestExpressionsFailWithAReason(t *testing.T) {
	input := deviceInput(t)
	for src, want := range map[string]string{
		`1 / 0`: "divide", `1 % 0`: "divide", `1 - "a"`: "subtract", `"a" * 9`: "multiply", `{} + 1`: "add",
		`"x" | tonumber`: `"x"`, `[] | tonumber`: "array", `"1_0" | tonumber`: "1_0", `-1 | sqrt`: "no number", `1e308 * 10`: "multiply",
		`1 | contains("x")`: "contains", `1 | split(",")`: "split", `[[1]] | join(",")`: "join", `1 | join(",")`: "join",
		`.facts[["a"]]`: "index", `.facts[{}]`: "index", `1 | test("a")`: "test", `"a" | test("a"; "x")`: "flags",
		`"a" | test("(" + "")`: "missing closing", `.facts.device * 1`: "multiply",
		`.vars.none // error("set vars.none in ratchet.toml")`: "set vars.none in ratchet.toml",
		`empty`: "no value", `.facts.device.x`: "object",
	} {
		_, err := evaluate(src, input)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want one with %q", src, err, want)
		}
	}
}

func TestAnErrorQuotesLittleOfTheInput(t *testing.T) {
	_, err := evaluate(`error(.)`, strings.Repeat("é", 5000))
	if err == nil || len(err.Error()) > 300 {
		t.Errorf("got an error of %d bytes, want a short one", len(fmt.Sprint(err)))
	}
}

// endless runs for as long as it is let, without building anything.
var endless = `any(` + strings.Repeat(`(1,1)|`, 64) + `false; .)`

func TestAnExpressionIsCutOffAfterOneSecond(t *testing.T) {
	begun := time.Now()
	_, err := evaluate(endless, nil)
	if err == nil || err.Error() != "took longer than 1s" {
		t.Errorf("got error %v, want: took longer than 1s", err)
	}
	if took := time.Since(begun); took < MaxEval || took > mostTime {
		t.Errorf("took %v, want a little over 1s", took)
	}
}

func TestACancelledExpressionReturnsTheCause(t *testing.T) {
	cause := errors.New("the job was cancelled")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	_, err := compiled(t, endless).Eval(ctx, nil)
	if !errors.Is(err, cause) {
		t.Errorf("got error %v, want %v", err, cause)
	}
}

func TestConditionsAreTrueAsJqSeesTruth(t *testing.T) {
	for src, want := range map[string]bool{
		`null`: false, `false`: false, `empty`: false, `true`: true, `0`: true, `""`: true, `[]`: true, `false, true`: false,
	} {
		got, err := compiled(t, src).Bool(t.Context(), nil)
		if err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", src, got, err, want)
		}
	}
	if got, err := compiled(t, `error("x")`).Bool(t.Context(), nil); got || err == nil {
		t.Errorf("got %v, %v, want an error", got, err)
	}
}

func TestACallerCanAddFunctions(t *testing.T) {
	max := Func{Name: "max", Arity: 2, Impl: func(_ any, args []any) (any, error) {
		if args[1] != "5m" {
			return nil, errors.New("no such time")
		}
		return []int64{1 << 40}, nil
	}}
	e, err := Compile(`max(".cpu.percent"; "5m") | .[0] / 2, ([1] | max)`, max)
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.Eval(t.Context(), nil)
	if text, _ := json.Marshal(got); err != nil || string(text) != "549755813888" {
		t.Errorf("got %s, %v, want 2^39", text, err)
	}
	if e, err = Compile(`max(1; 2)`, max); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Eval(t.Context(), nil); err == nil || err.Error() != "no such time" {
		t.Errorf("got error %v, want that of the function", err)
	}
}

func TestOneExpressionServesManyGoroutines(t *testing.T) {
	e, input := compiled(t, `[.facts.network[] | .name] | join(" ")`), deviceInput(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if got, err := e.Eval(t.Context(), input); got != "eth0 wlan0" {
					t.Errorf("got %v, %v, want eth0 wlan0", got, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestInputKeepsIntegersExact(t *testing.T) {
	for _, n := range []any{int64(1) << 62, uint64(1)<<63 - 1, int64(-1) << 53, 1.5, "x", nil, true, json.RawMessage(`{"a":[1]}`)} {
		in, err := Input(n)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := json.Marshal(n)
		if got, err := evaluate(`.`, in); err != nil || got != string(want) {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
	if _, err := Input(func() {}); err == nil {
		t.Error("got no error for what JSON cannot hold")
	}
}

func deviceInput(t testing.TB) any {
	in, err := Input(json.RawMessage(device))
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func compiled(t testing.TB, src string) *Expr {
	e, err := Compile(src)
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return e
}

// evaluate returns the JSON of what src gives.
func evaluate(src string, input any) (string, error) {
	e, err := Compile(src)
	if err != nil {
		return "", err
	}
	v, err := e.Eval(context.Background(), input)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(v)
	return string(text), err
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		compiled(b, `any(.health.disk[]; .path == "/" and .free > 20000000)`)
	}
}

func BenchmarkEval(b *testing.B) {
	e, input := compiled(b, `any(.health.disk[]; .path == "/" and .free > 20000000)`), deviceInput(b)
	for b.Loop() {
		if _, err := e.Eval(b.Context(), input); err != nil {
			b.Fatal(err)
		}
	}
}
