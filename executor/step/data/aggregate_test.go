package data_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/data"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// grouping is a data step that groups what is in content.
func grouping(t *testing.T, format, more, content string) (a *steptest.Attempt, out string) {
	t.Helper()
	a, in, out := dataStep(t, format, "", content)
	a.With = fmt.Appendf(nil, `{"inputs":[%q],"format":%q,"output":%q,%s}`, in, format, out, more)
	return a, out
}

func TestDataGroupsRecords(t *testing.T) {
	const lines = `{"s":"a","c":1,"t":"2026-11-01T00:00:10Z"}` + "\n" + `{"s":"b","c":2.5,"t":"2026-11-01T00:00:20Z"}` + "\n" +
		`{"s":"a","c":3,"t":"2026-11-01T00:06:00Z"}` + "\n" + `{"s":"a","c":"off","t":null}` + "\n" + `{"s":"b"}` + "\n"
	const bySensor = `"aggregate":{"by":[".s"],"values":{"n":"count","mean":"mean(.c)"}}`
	for _, tt := range []struct{ name, format, more, content, out, result string }{
		{"by a field", "jsonl", bySensor, lines, `{"s":"a","mean":2,"n":3}` + "\n" + `{"s":"b","mean":2.5,"n":2}` + "\n",
			`{"bytes":170,"missing":1,"notNumbers":1,"records":5,"values":2}`},
		{"by time", "jsonl", `"aggregate":{"every":{"time":".t","duration":"5m"},"values":{"max":"max(.c)"}}`, lines,
			`{"time":null,"max":null}` + "\n" + `{"time":"2026-11-01T00:00:00Z","max":2.5}` + "\n" + `{"time":"2026-11-01T00:05:00Z","max":3}` + "\n",
			`{"bytes":170,"missing":1,"notNumbers":1,"records":5,"values":3}`},
		{"what jq gives out", "jsonl", `"jq":"inputs | select(.c > 1) | {s, c: (.c | tonumber? // 10)}",` + bySensor, lines,
			`{"s":"a","mean":6.5,"n":2}` + "\n" + `{"s":"b","mean":2.5,"n":1}` + "\n", `{"bytes":170,"missing":0,"notNumbers":0,"records":5,"values":2}`},
		{"a table", "csv", bySensor, "s,c,x\na,1,\na,2,\nb,,\n", `{"s":"a","mean":1.5,"n":2}` + "\n" + `{"s":"b","mean":null,"n":1}` + "\n",
			`{"bytes":20,"missing":1,"notNumbers":0,"records":3,"values":2}`},
		{"lines of text", "text", `"aggregate":{"by":["."],"values":{"n":"count"}}`, "ok\nno\nok\n", `{"value":"no","n":1}` + "\n" + `{"value":"ok","n":2}` + "\n",
			`{"bytes":9,"missing":0,"notNumbers":0,"records":3,"values":2}`},
		{"nothing", "jsonl", bySensor, "", "", `{"bytes":0,"missing":0,"notNumbers":0,"records":0,"values":0}`},
		{"names that are repeated", "jsonl", `"aggregate":{"by":[".a.id",".b.id"],"values":{"n":"count"}}`, `{"a":{"id":1},"b":{"id":2}}`, `{"a.id":1,"b.id":2,"n":1}` + "\n",
			`{"bytes":27,"missing":0,"notNumbers":0,"records":1,"values":1}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, out := grouping(t, tt.format, tt.more, tt.content)
			task := a.Next()
			if err := steptest.Data(t).Run(t.Context(), task); err != nil {
				t.Fatal(err)
			}
			if got := steptest.ReadFile(t, out); got != tt.out {
				t.Errorf("got\n%s, want\n%s", got, tt.out)
			}
			if got := string(task.Result); got != tt.result {
				t.Errorf("got result %s, want %s", got, tt.result)
			}
		})
	}
}

func TestDataSaysWhereGroupingFailed(t *testing.T) {
	lines := strings.Repeat(`{"s":"a"}`+"\n", 3) + `{"s":"b"}` + "\n" + `{"s":}` + "\n"
	for more, want := range map[string]string{
		`"aggregate":{"by":[".s"],"groups":1,"values":{"n":"count"}}`:                           "aggregate: more than 1 groups: group by less",
		`"aggregate":{"by":[".s"],"values":{"n":"count"}}`:                                      "in, line 5: not JSON at byte 6",
		`"jq":"inputs","aggregate":{"by":[".s"],"groups":1,"values":{"n":"count"}}`:             "aggregate: more than 1 groups: group by less",
		`"jq":"inputs | try error(.s) catch .","aggregate":{"groups":1,"values":{"n":"count"}}`: "in, line 5: not JSON at byte 6",
		`"jq":"inputs.s.x","aggregate":{"values":{"n":"count"}}`:                                "jq: expected an object but got: string (\"a\") (it had read up to ",
	} {
		a, out := grouping(t, "jsonl", more, lines)
		steptest.WantError(t, a.Run(t.Context(), steptest.Data(t)), want)
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: got an output, want none", more)
		}
	}
}

func TestDataRefusesWhatItCannotGroup(t *testing.T) {
	for aggregate, want := range map[string]string{
		`{}`:                                  "aggregate.values: 0 of them: want 1 to 32",
		`{"values":{"n":"avg(.c)"}}`:          `aggregate.values.n: "avg(.c)": no function "avg"`,
		`{"values":{"n":"count","n":"x"}}`:    "aggregate.values.n: given twice",
		`{"by":["s"],"values":{"n":"count"}}`: `aggregate.by[0]: "s": want a path`,
		`{"every":{"time":".t","duration":"-5m"},"values":{"n":"count"}}`:           `aggregate.every.duration: "-5m" is no duration`,
		`{"every":{"time":".t","duration":"0s"},"values":{"n":"count"}}`:            "aggregate.every.duration: 0s: want whole milliseconds",
		`{"every":{"time":".t","durations":"5m"},"values":{"n":"count"}}`:           `aggregate.every.durations: unknown field; did you mean "duration"?`,
		`{"by":[".s"],"values":{"s":"count"}}`:                                      "aggregate.values.s: by[0] has that name in what comes out",
		`{"by":".s","values":{"n":"count"}}`:                                        "aggregate.by: want a list, got string",
		`{"by":[".s"],"groups":20000,"other":true,"values":{"n":"count"}}`:          "aggregate.groups: 20000: want 1 to 10000",
		`{"by":[".s"],"groups":20000,"other":true,"values":{"n":"count"}},"jq":"."`: "aggregate.groups: 20000: want 1 to 10000",
	} {
		with := `{"inputs":["/a"],"format":"jsonl","output":"/o","aggregate":` + aggregate + `}`
		steptest.WantError(t, data.Kind{}.Check([]byte(with)), want)
	}
}

func TestDataPublishesGroups(t *testing.T) {
	a, _ := grouping(t, "jsonl", `"publish":true,"aggregate":{"by":[".s"],"groups":10000,"values":{"n":"count","p95":"p95(.s)"}}`, numbersTo(10_000))
	k := steptest.Data(t)
	var got strings.Builder
	k.Publish = func(_ context.Context, _ string, _ int, lines []byte) error {
		got.Write(lines)
		return nil
	}
	if err := a.Run(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(got.String(), `,"n":1,"p95":`); n != 10_000 || !strings.HasPrefix(got.String(), `{"s":0,"n":1,"p95":0}`) {
		t.Errorf("got %d groups beginning with %.40q, want 10000 in their order", n, got.String())
	}
}

func numbersTo(n int) string {
	var lines strings.Builder
	for i := range n {
		fmt.Fprintf(&lines, "{\"s\":%d}\n", i)
	}
	return lines.String()
}

// What takes more memory than groups may have says so itself, not as a program would.
func TestGroupsThatTakeTooMuchFailTheStep(t *testing.T) {
	a, _ := grouping(t, "jsonl", `"jq":"inputs | {s, v: range(-30; 60; 3) | exp2}","aggregate":{"by":[".s"],"groups":10000,"values":{"p50":"p50(.v)"}}`, numbersTo(10_000))
	steptest.WantError(t, a.Run(t.Context(), steptest.Data(t)), "aggregate: the groups take more than 8 MiB: group by less, lengthen every.duration, or leave out p50 to p99 and distinct (it had read up to ")
}

func TestExplainSaysWhatComesOut(t *testing.T) {
	const aggregate = `"aggregate":{"by":[".sensor"],"every":{"time":".time","duration":"5m"},"values":{"n":"count","mean":"mean(.celsius)"}}`
	for with, want := range map[string]string{
		`{"inputs":["/a","/b"],"jq":"inputs"}`:              "puts /a, /b through jq",
		`{"inputs":["/a"],` + aggregate + `}`:               "makes of /a one line for each .sensor and 5m of .time: sensor, time, mean, n",
		`{"inputs":["/a"],"jq":"inputs",` + aggregate + `}`: "puts /a through jq, and makes of what comes out one line for each .sensor and 5m of .time: sensor, time, mean, n",
	} {
		if got := (data.Kind{}).Describe(executor.Step{With: []byte(with)}).Does; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
