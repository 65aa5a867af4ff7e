package aggregate_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor/jq"
	"github.com/ratchetd/ratchet/executor/step/data/aggregate"
)

// specOf reads a parameter as a job has it.
func specOf(t *testing.T, text string) *aggregate.Spec {
	t.Helper()
	var s aggregate.Spec
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	return &s
}

// grouped is what comes out for the records, one JSON value each.
func grouped(t *testing.T, spec string, texts bool, records ...string) (string, *aggregate.Groups, error) {
	t.Helper()
	g, err := specOf(t, spec).New(texts)
	if err != nil {
		t.Fatal(err)
	}
	reader := jq.ReaderOf(g.Paths())
	for _, r := range records {
		v, err := reader.Value([]byte(r))
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Add(v); err != nil {
			return "", g, err
		}
	}
	var out strings.Builder
	err = g.Lines(func(line []byte) error {
		fmt.Fprintf(&out, "%s\n", line)
		return nil
	})
	return out.String(), g, err
}

func TestWhatIsWrongIsSaidByItsField(t *testing.T) {
	many := make(map[string]string)
	for i := range 33 {
		many[fmt.Sprint(i)] = "count"
	}
	tooMany, _ := json.Marshal(many)
	for spec, want := range map[string]string{
		`{}`:                                                    `values: 0 of them: want 1 to 32, such as {"n": "count", "mean": "mean(.celsius)"}`,
		`{"values":` + string(tooMany) + `}`:                    "values: 33 of them",
		`{"values":{"n":"avg(.c)"}}`:                            `values.n: "avg(.c)": no function "avg": want count, sum, mean, min, max, stddev, first, last, distinct, or p1 to p99`,
		`{"values":{"n":"maen(.c)"}}`:                           `did you mean "mean"?`,
		`{"values":{"n":"mean"}}`:                               "want a path in brackets, such as mean(.celsius)",
		`{"values":{"n":"mean(.c"}}`:                            "want a path in brackets",
		`{"values":{"n":"mean()"}}`:                             "want a path, such as .sensor",
		`{"values":{"n":"mean(.a[0])"}}`:                        "want a path, such as .sensor",
		`{"values":{"n":"p100(.c)"}}`:                           `no function "p100"`,
		`{"values":{"n":"p05(.c)"}}`:                            `no function "p05"`,
		`{"values":{"n":"p99.9(.c)"}}`:                          `no function "p99.9"`,
		`{"by":["sensor"],"values":{"n":"count"}}`:              `by[0]: "sensor": want a path, such as .sensor, .battery.volts or .["two words"]`,
		`{"by":[".a",".b | .c"],"values":{"n":"count"}}`:        `by[1]: ".b | .c": want a path`,
		`{"by":[".a.b",".a[\"b\"]"],"values":{"n":"count"}}`:    "by[0] is the same path: leave one out",
		`{"by":[".a",".b",".c",".d",".e",".f",".g",".h",".i"]}`: "by: 9 paths: at most 8 are taken",
		`{"by":[".n"],"values":{"n":"count"}}`:                  "values.n: by[0] has that name in what comes out: choose another",
		`{"by":[".time"],"every":{"time":".time","duration":"5m"},"values":{"n":"count"}}`: "by[0]: every has the name time in what comes out: let jq give the field another one",
		`{"every":{"time":".t","duration":"5m"},"values":{"time":"last(.t)"}}`:             "values.time: every has that name",
		`{"other":true,"values":{"other":"count"}}`:                                        "values.other: other has that name",
		`{"every":{"time":"t","duration":"5m"},"values":{"n":"count"}}`:                    `every.time: "t": want a path`,
		`{"every":{"time":".t"},"values":{"n":"count"}}`:                                   `every.duration: 0s: want whole milliseconds, at least 1ms, such as "5m"`,
		`{"every":{"time":".t","duration":"0s"},"values":{"n":"count"}}`:                   "every.duration: 0s",
		`{"every":{"time":".t","duration":"1500us"},"values":{"n":"count"}}`:               "every.duration: 1.5ms: want whole milliseconds",
		`{"groups":10001,"values":{"n":"count"}}`:                                          "groups: 10001: want 1 to 10000",
		`{"groups":-1,"values":{"n":"count"}}`:                                             "groups: -1: want 1 to 10000",
	} {
		if err := specOf(t, spec).Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", spec, err, want)
		}
	}
}

func TestASpecSaysWhatComesOut(t *testing.T) {
	for spec, want := range map[string]string{
		`{"values":{"n":"count"}}`:                                                                                                    "one line: n",
		`{"by":[".a.sensor"],"values":{"n":"count","mean":"mean(.c)"}}`:                                                               "one line for each .a.sensor: sensor, mean, n",
		`{"by":[".a.id",".b.id"],"every":{"time":".t","duration":"1h"},"values":{"n":"count"}}`:                                       "one line for each .a.id and .b.id and 1h of .t: a.id, b.id, time, n",
		`{"every":{"time":".t","duration":"5m"},"values":{"n":"count","mean":"mean(.celsius)","p95":"p95(.celsius)","l":"last(.k)"}}`: "one line for each 5m of .t: time, l, mean, n, p95",
	} {
		s := specOf(t, spec)
		if err := s.Check(); err != nil || s.String() != want {
			t.Errorf("%s: got %q, %v, want %q", spec, s, err, want)
		}
	}
}

func TestAggregateReadsOnlyItsPaths(t *testing.T) {
	g, err := specOf(t, `{"by":[".a.id"],"every":{"time":".t","duration":"1m"},"values":{"n":"count","x":"max(.b.x)","y":"min(.b.x)"}}`).New(false)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(g.Paths()); got != "[[a id] [b x] [t]]" {
		t.Errorf("got %s, want each path once", got)
	}
}
