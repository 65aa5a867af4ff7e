package rule

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// There is a sample every 30 s. What is told is at which of them, from 1, the
// alert is raised (+) and cleared (-).
func TestAlerts(t *testing.T) {
	for _, c := range []struct {
		name   string
		rule   Spec
		series string
		want   string
	}{
		{"at once", Spec{When: ".x > 5"}, "1 6 6 1 6 1", "+2 -4 +5 -6"},
		{"for a while", Spec{When: ".x > 5", For: time.Minute}, "6 6 1 6 6 6 1 1", "+6 -7"},
		{"with a way back that is longer", Spec{When: ".x > 85", Clear: ".x < 75"}, "80 90 80 86 76 74 80 90", "+2 -6 +8"},
		{"a clear that holds beside when clears nothing", Spec{When: ".x > 5", Clear: ".x < 9"}, "6 7 8 3", "+1 -4"},
		{"what is not there is no reason", Spec{When: ".x > 5"}, "null 6 null 6", "+2 -3 +4"},
		{"what cannot be judged changes nothing", Spec{When: "any(.x[]; . > 5)"}, "[6] null null [1] null", "+1 -4"},
		{"and is no part of for", Spec{When: "any(.x[]; . > 5)", For: time.Minute}, "[6] null [6] [6] [6]", "+5"},
		{"flapping is damped", Spec{When: ".x > 5"}, strings.Repeat("6 1 ", 20) + strings.Repeat("1 ", 40),
			"+1 -2 +3 -4 +5 -70"},
		{"an average", Spec{When: `avg(.x; "2m") > 5`}, "9 9 9 1 1 1 1 1", "+3 -6"},
		{"it is not known at once", Spec{When: `avg(.x; "10m") < 5`}, "1 1 1 1 1 1 1 1 1 1 1 1", "+11"},
		{"a least", Spec{When: `min(.x; "1m") > 5`}, "6 6 6 1 6 6 6", "+2 -4 +7"},
		{"a most", Spec{When: `max(.x; "1m") > 5`}, "1 6 1 1 1 1", "+2 -5"},
		{"a rate", Spec{When: `rate(.x; "1m") > 10`}, "0 100 700 1300 1310 1320 1330", "+3 -6"},
		{"a counter that begins again", Spec{When: `rate(.x; "1m") < 0 or rate(.x; "1m") > 20`}, "5000 5100 5200 100 200", ""},
		{"a slope", Spec{When: `slope(.x; "2m") < -1`}, "900 900 850 800 750 700 700 700 700 700", "+4 -8"},
		{"full tomorrow", Spec{When: `.x + slope(.x; "5m") * 3600 < 0`}, "9000 8950 8900 8850 8800 8750 8700", ""},
		{"full within the hour", Spec{When: `.x + slope(.x; "5m") * 3600 < 0`}, "1000 990 980 970 960 950 940 930", "+6"},
		{"two histories", Spec{When: `avg(.x; "1m") > 2 * avg(.x; "5m")`}, "1 1 1 1 1 1 1 1 1 1 1 9 9 1 1 1", "+12 -15"},
		{"and what stands in the other half too", Spec{When: `.x > 5 and avg(.x; "1m") > 5`}, "6 6 6 1 6", "+2 -4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := New(c.rule, nil)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			now, is := time.Unix(0, 0), false
			for i, text := range strings.Fields(c.series) {
				var x any
				if err := json.Unmarshal([]byte(text), &x); err != nil {
					t.Fatal(err)
				}
				now = now.Add(30 * time.Second)
				switch change, _ := r.Judge(t.Context(), now, map[string]any{"x": x}, is); change {
				case Raised:
					is = true
					got = append(got, fmt.Sprint("+", i+1))
				case Cleared:
					is = false
					got = append(got, fmt.Sprint("-", i+1))
				}
			}
			if got := strings.Join(got, " "); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// However often the board is sampled, a history of a day stays small.
func TestAHistoryIsBounded(t *testing.T) {
	r, err := New(Spec{When: `avg(.x; "24h") > 1`}, nil)
	if err != nil {
		t.Fatal(err)
	}
	most, now := 0, time.Unix(0, 0)
	for i := range 200_000 {
		now = now.Add(time.Second)
		r.history.add(t.Context(), now, map[string]any{"x": i % 3})
		most = max(most, len(r.history.series[0].buckets))
	}
	if most > maxBuckets+1 {
		t.Errorf("got %d buckets, want at most %d", most, maxBuckets+1)
	}
	if got := r.history.series[0].average(); got < 0.99 || got > 1.01 {
		t.Errorf("the average: got %v, want 1", got)
	}
}
