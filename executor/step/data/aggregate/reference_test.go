package aggregate_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// reading is a random record: a number, or what is none, of one of a few sensors.
type reading struct {
	Sensor any `json:"sensor,omitempty"`
	V      any `json:"v"`
	T      int `json:"t"`
}

func randomReading(r *rand.Rand, scale float64) reading {
	v := []any{r.IntN(100) - 50, (r.Float64() - 0.3) * scale, math.Exp(r.NormFloat64() * 3), 0, nil, "text", []any{}}[r.IntN(7)]
	return reading{[]any{"a", "b", 1, nil}[r.IntN(4)], v, 1_700_000_000 + r.IntN(1000)}
}

// reference is what is said of a group, computed over all of it.
func reference(of []reading) map[string]any {
	var numbers []float64
	var present []any
	distinct := map[string]bool{}
	for _, r := range of {
		text, _ := json.Marshal(r.V)
		if r.V != nil {
			present, distinct[string(text)] = append(present, r.V), true
		}
		var f float64
		if json.Unmarshal(text, &f) == nil && r.V != nil {
			numbers = append(numbers, f)
		}
	}
	said := map[string]any{"n": len(of), "values": len(present), "distinct": len(distinct)}
	if len(present) > 0 {
		said["first"], said["last"] = present[0], present[len(present)-1]
	}
	if len(numbers) == 0 {
		return said
	}
	var sum, squares float64
	for _, f := range numbers {
		sum += f
	}
	mean := sum / float64(len(numbers))
	for _, f := range numbers {
		squares += (f - mean) * (f - mean)
	}
	if len(numbers) > 1 {
		said["stddev"] = math.Sqrt(squares / float64(len(numbers)-1))
	}
	slices.Sort(numbers)
	said["sum"], said["mean"], said["min"], said["max"] = sum, mean, numbers[0], numbers[len(numbers)-1]
	for _, p := range []int{5, 50, 95, 99} {
		said[fmt.Sprint("p", p)] = numbers[max(0, int(math.Ceil(float64(p)*float64(len(numbers))/100))-1)]
	}
	return said
}

const allFunctions = `{"by":[".sensor"],"every":{"time":".t","duration":"3m"},"values":{"n":"count","values":"count(.v)","distinct":"distinct(.v)","first":"first(.v)","last":"last(.v)",
	"sum":"sum(.v)","mean":"mean(.v)","min":"min(.v)","max":"max(.v)","stddev":"stddev(.v)","p5":"p5(.v)","p50":"p50(.v)","p95":"p95(.v)","p99":"p99(.v)"}}`

func TestGroupsSayWhatAReferenceSays(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 0))
	for round := range 60 {
		var records []string
		groups := map[string][]reading{}
		for range r.IntN(400) {
			one := randomReading(r, []float64{1, 1e-12, 1e12}[round%3])
			text, err := json.Marshal(one)
			if err != nil {
				t.Fatal(err)
			}
			sensor, _ := json.Marshal(one.Sensor)
			key := fmt.Sprint(string(sensor), one.T/180*180)
			records, groups[key] = append(records, string(text)), append(groups[key], one)
		}
		out, _, err := grouped(t, allFunctions, false, records...)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out) {
			var got map[string]any
			if err := json.Unmarshal([]byte(line), &got); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			sensor, _ := json.Marshal(got["sensor"])
			key := fmt.Sprint(string(sensor), seconds(t, got["time"]))
			compare(t, key, got, reference(groups[key]))
			delete(groups, key)
		}
		if len(groups) > 0 {
			t.Fatalf("got %d groups too few", len(groups))
		}
	}
}

// compare checks what was said of a group: percentiles within a hundredth.
func compare(t *testing.T, group string, got, want map[string]any) {
	t.Helper()
	for name, g := range got {
		w := want[name]
		if name == "sensor" || name == "time" {
			continue
		}
		text, _ := json.Marshal(w)
		var f float64
		number, isNumber := g.(float64)
		if json.Unmarshal(text, &f) != nil || !isNumber {
			if other, _ := json.Marshal(g); string(other) != string(text) {
				t.Fatalf("%s of %s: got %v, want %s", name, group, g, text)
			}
			continue
		}
		near := 1e-9 * max(math.Abs(f), 1)
		if name[0] == 'p' {
			near = 0.008 * math.Abs(f)
		}
		if name == "sum" || name == "mean" || name == "stddev" {
			near = 1e-9 * max(math.Abs(f), 1, math.Abs(want["max"].(float64)), math.Abs(want["min"].(float64)))
		}
		if math.Abs(number-f) > near {
			t.Fatalf("%s of %s: got %v, want %v", name, group, number, f)
		}
	}
}

func seconds(t *testing.T, v any) int64 {
	t.Helper()
	at, err := time.Parse(time.RFC3339, fmt.Sprint(v))
	if err != nil {
		t.Fatal(err)
	}
	return at.Unix()
}
