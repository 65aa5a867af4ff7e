package aggregate_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestEachFunction(t *testing.T) {
	records := []string{`{"v":3}`, `{"v":1.5}`, `{"v":"x"}`, `{}`, `{"v":null}`, `{"v":3.0}`, `{"v":[1]}`, `{"v":false}`, `{"v":-4}`}
	for _, tt := range []struct{ function, want string }{
		{"count", "9"}, {"count(.v)", "7"}, {"sum(.v)", "3.5"}, {"mean(.v)", "0.875"}, {"min(.v)", "-4"}, {"max(.v)", "3"},
		{"first(.v)", "3"}, {"last(.v)", "-4"}, {"distinct(.v)", "6"},
		{"p1(.v)", "-4"}, {"p50(.v)", "1.5078125"}, {"p75(.v)", "3"}, {"p99(.v)", "3"}, {"count(.none)", "0"}, {"sum(.none)", "null"}, {"mean(.none)", "null"},
		{"min(.none)", "null"}, {"max(.none)", "null"}, {"stddev(.none)", "null"}, {"first(.none)", "null"}, {"last(.none)", "null"}, {"distinct(.none)", "0"}, {"p95(.none)", "null"},
	} {
		got, _, err := grouped(t, fmt.Sprintf(`{"values":{"x":%q}}`, tt.function), false, records...)
		if want := `{"x":` + tt.want + "}\n"; err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", tt.function, got, err, want)
		}
	}
}

func TestTheDeviationIsThatOfASample(t *testing.T) {
	for records, want := range map[string]string{"1": "null", "1 3 2": "1", "1000000001 1000000003 1000000002": "1", "5 5 5": "0"} {
		if got, _, err := grouped(t, `{"values":{"x":"stddev(.)"}}`, false, strings.Fields(records)...); err != nil || got != `{"x":`+want+"}\n" {
			t.Errorf("%s: got %s, %v, want %s", records, got, err, want)
		}
	}
}

func TestSumsAreExact(t *testing.T) {
	for _, tt := range []struct {
		name    string
		records []string
		want    string
	}{
		{"whole numbers above 2^53", []string{"9007199254740993", "9007199254740993", "1"}, "18014398509481987"},
		{"whole numbers below 0", []string{"-9007199254740993", "2"}, "-9007199254740991"},
		{"more than 2^63", []string{"9223372036854775807", "9223372036854775807"}, "18446744073709552000"},
		{"a large one takes nothing from small ones", []string{"1.5", "1e100", "1.5", "-1e100"}, "3"},
		{"ten tenths", strings.Split(strings.Repeat("0.1,", 9)+"0.1", ","), "1"},
		{"the largest", []string{"1e308", "1e308"}, "1.7976931348623157e+308"},
	} {
		if got, _, err := grouped(t, `{"values":{"x":"sum(.)"}}`, false, tt.records...); err != nil || got != `{"x":`+tt.want+"}\n" {
			t.Errorf("%s: got %s, %v, want %s", tt.name, got, err, tt.want)
		}
	}
}

func TestGroupsComeInTheOrderOfTheirValuesAndThenOfTime(t *testing.T) {
	records := []string{
		`{"s":"b","t":"2026-11-01T00:07:00Z","v":1}`, `{"s":"a","t":"2026-11-01T00:04:59.999+00:00","v":2}`, `{"s":"b","t":"2026-11-01T01:01:00+01:00","v":3}`,
		`{"t":1793491500,"v":4}`, `{"s":2,"v":5}`, `{"s":{"x":1},"t":"yesterday","v":6}`, `{"s":2.0,"v":7}`, `{"s":"b","t":1793491620000,"v":8}`, `"text"`,
	}
	got, g, err := grouped(t, `{"by":[".s"],"every":{"time":".t","duration":"5m"},"values":{"n":"count","sum":"sum(.v)"}}`, false, records...)
	want := `{"s":null,"time":null,"n":1,"sum":null}
{"s":null,"time":"2026-11-01T00:05:00Z","n":1,"sum":4}
{"s":2,"time":null,"n":2,"sum":12}
{"s":"a","time":"2026-11-01T00:00:00Z","n":1,"sum":2}
{"s":"b","time":"2026-11-01T00:00:00Z","n":1,"sum":3}
{"s":"b","time":"2026-11-01T00:05:00Z","n":2,"sum":9}
{"s":{"x":1},"time":null,"n":1,"sum":6}
`
	if err != nil || got != want {
		t.Errorf("got\n%s%v, want\n%s", got, err, want)
	}
	if g.Missing != 1 || g.NotNumbers != 0 {
		t.Errorf("got %d missing, %d no numbers, want 1 and 0", g.Missing, g.NotNumbers)
	}
}

// Values that look alike when they are joined are no one group.
func TestDifferentValuesAreDifferentGroups(t *testing.T) {
	got, _, err := grouped(t, `{"by":[".a",".b"],"values":{"n":"count"}}`, false,
		`{"a":"x","b":"yz"}`, `{"a":"xy","b":"z"}`, `{"a":"1","b":1}`, `{"a":1,"b":"1"}`, `{"a":null,"b":"null"}`, `{"a":"null"}`, `{"a":"\"x","b":""}`, `{"a":"","b":"\"x"}`)
	if n := strings.Count(got, `"n":1`); err != nil || n != 8 {
		t.Errorf("got %d groups of one, %v, want 8:\n%s", n, err, got)
	}
}

func TestWhatIsPassedOverIsCounted(t *testing.T) {
	got, g, err := grouped(t, `{"values":{"mean":"mean(.c)","max":"max(.c)","last":"last(.c)","ok":"count(.ok)"}}`, false,
		`{"c":1,"ok":true}`, `{"c":"2"}`, `{"c":null,"ok":false}`, `7`)
	if want := `{"last":"2","max":1,"mean":1,"ok":2}` + "\n"; err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	if g.Missing != 4 || g.NotNumbers != 1 {
		t.Errorf("got %d missing, %d no numbers, want 4 and 1", g.Missing, g.NotNumbers)
	}
}

func TestWhatAProgramMakesThatIsNoNumberIsPassedOver(t *testing.T) {
	g, err := specOf(t, `{"values":{"sum":"sum(.)","p50":"p50(.)","min":"min(.)","max":"max(.)","last":"last(.)"}}`).New(false)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []float64{0, 5, math.Inf(1), math.Inf(-1), math.NaN()} {
		if err := g.Add(f); err != nil {
			t.Fatal(err)
		}
	}
	var got string
	err = g.Lines(func(line []byte) error {
		got += string(line)
		return nil
	})
	if want := `{"last":null,"max":5,"min":0,"p50":0,"sum":5}`; err != nil || got != want || g.NotNumbers != 3 {
		t.Errorf("got %s, %v, %d no numbers, want %s and 3", got, err, g.NotNumbers, want)
	}
}

func TestTextsThatAreNumbersCountInATable(t *testing.T) {
	got, g, err := grouped(t, `{"every":{"time":".t","duration":"1h"},"values":{"sum":"sum(.c)","min":"min(.c)","last":"last(.c)"}}`, true,
		`{"t":"1793491500","c":"1.50"}`, `{"t":"1793491500000","c":"02"}`, `{"t":"2026-11-01T00:00:01Z","c":"-"}`)
	if want := `{"time":"2026-11-01T00:00:00Z","last":"-","min":1.5,"sum":3.5}` + "\n"; err != nil || got != want || g.NotNumbers != 1 {
		t.Errorf("got %s, %v, %d no numbers, want %s", got, err, g.NotNumbers, want)
	}
}

func TestTimes(t *testing.T) {
	for _, tt := range []struct{ time, every, want string }{
		{`"2026-11-30T23:59:59+02:00"`, "24h", `"2026-11-30T00:00:00Z"`},
		{`"2026-11-30T00:30:00+02:00"`, "24h", `"2026-11-29T00:00:00Z"`},
		{`"1969-12-31T23:59:59Z"`, "1h", `"1969-12-31T23:00:00Z"`},
		{`-1`, "1m", `"1969-12-31T23:59:00Z"`},
		{`0`, "1h", `"1970-01-01T00:00:00Z"`},
		{`1700000000.3`, "100ms", `"2023-11-14T22:13:20.3Z"`},
		{`1700000000300`, "100ms", `"2023-11-14T22:13:20.3Z"`},
		{`99999999999`, "1h", `"5138-11-16T09:00:00Z"`},
		{`100000000000`, "1s", `"1973-03-03T09:46:40Z"`},
		{`1e30`, "1s", "null"}, {`"1700000000"`, "1s", "null"}, {`true`, "1s", "null"}, {`"2026-11-30"`, "1s", "null"}, {`123456789012345678901234567890`, "1s", "null"},
	} {
		got, _, err := grouped(t, fmt.Sprintf(`{"every":{"time":".","duration":%q},"values":{"n":"count"}}`, tt.every), false, tt.time)
		if want := `{"time":` + tt.want + `,"n":1}` + "\n"; err != nil || got != want {
			t.Errorf("%s by %s: got %s, %v, want %s", tt.time, tt.every, got, err, want)
		}
	}
}

func TestMoreGroupsThanAllowed(t *testing.T) {
	var records []string
	for i := range 12 {
		records = append(records, fmt.Sprintf(`{"s":%d,"v":%d}`, i%4, i))
	}
	const spec = `{"by":[".s"],"groups":%d%s,"values":{"sum":"sum(.v)","n":"count"}}`
	_, _, err := grouped(t, fmt.Sprintf(spec, 3, ""), false, records...)
	if want := "more than 3 groups: group by less, lengthen every.duration, raise groups (at most 10000), or let the rest be one group with other: true"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	got, _, err := grouped(t, fmt.Sprintf(spec, 2, `,"other":true`), false, records...)
	if want := `{"s":0,"n":3,"sum":12}` + "\n" + `{"s":1,"n":3,"sum":15}` + "\n" + `{"other":true,"n":6,"sum":39}` + "\n"; err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	if got, _, err = grouped(t, fmt.Sprintf(spec, 4, `,"other":true`), false, records...); err != nil || strings.Count(got, "\n") != 4 || strings.Contains(got, "other") {
		t.Errorf("got %s, %v, want four groups and no other", got, err)
	}
}

func TestGroupsTakeBoundedMemory(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	for _, tt := range []struct {
		name, values string
		record       func(i int) (s, v any)
	}{
		{"names that are long", "count", func(i int) (s, v any) { return fmt.Sprint(i, long), nil }},
		{"percentiles over what is far apart", "p95(.v)", func(i int) (s, v any) { return i / 4, []float64{1e-9, 1e9, -1e-9, -1e9}[i%4] }},
		{"many that differ", "distinct(.v)", func(i int) (s, v any) { return i / 9000, i }},
		{"last values that are long", "last(.v)", func(i int) (s, v any) { return i, []any{map[string]any{"x": long}} }},
	} {
		g, err := specOf(t, fmt.Sprintf(`{"by":[".s"],"groups":10000,"values":{"x":%q}}`, tt.values)).New(false)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; err == nil && i < 400_000; i++ {
			s, v := tt.record(i)
			err = g.Add(map[string]any{"s": s, "v": v})
		}
		if want := "the groups take more than 8 MiB: "; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, want)
		}
	}
}

func TestDistinctHasABound(t *testing.T) {
	g, err := specOf(t, `{"values":{"x":"distinct(.)"}}`).New(false)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20_000 {
		if err := g.Add(i % 10_000); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Add("one more"); err == nil || !strings.Contains(err.Error(), "distinct: a group has more than 10000 different values") {
		t.Errorf("got %v, want the bound's name", err)
	}
}
