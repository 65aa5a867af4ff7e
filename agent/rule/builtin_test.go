package rule

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/telemetry"
)

// Every built-in rule can be compiled and judged, and can be taken away.
func TestBuiltinAlerts(t *testing.T) {
	full, wear, worn := 97.0, 90.0, &telemetry.Memory{}
	worn.Percent = &full
	s := Input{Sample: telemetry.Sample{
		CPU: &telemetry.CPU{Celsius: &full}, Memory: worn,
		Disk:  []telemetry.Disk{{Path: "/", Percent: &full}},
		Flash: []telemetry.Flash{{Name: "mmcblk0", WearPercent: &wear}},
	}, Link: LinkInput{Drops: 5}}
	bad, badly := inputOf(t, s), map[string]bool{}
	for name, look := range prechecks {
		badly[name] = look(s)
	}
	fine := 50.0
	s.CPU.Celsius, worn.Percent, s.Disk[0].Percent, s.Flash[0].WearPercent = &fine, &fine, &fine, &fine
	s.Clock.Sane, s.Link.Drops = true, 0
	good := inputOf(t, s)
	for _, a := range Builtin {
		if !badly[a.Name] || prechecks[a.Name](s) {
			t.Errorf("%s: the quick look is another one than the rule's", a.Name)
		}
		r, err := New(a, nil)
		if err != nil {
			t.Errorf("%s: %v", a.Name, err)
			continue
		}
		now := time.Unix(0, 0)
		if got, err := r.Judge(t.Context(), now, bad, false); got != Unchanged && a.For > 0 || err != nil {
			t.Errorf("%s, at once: got %v, %v", a.Name, got, err)
		}
		if got, err := r.Judge(t.Context(), now.Add(a.For), bad, false); got != Raised || err != nil {
			t.Errorf("%s: got %v, %v, want it raised", a.Name, got, err)
		}
		if got, err := r.Judge(t.Context(), now.Add(time.Hour), good, true); got != Cleared || err != nil {
			t.Errorf("%s: got %v, %v, want it cleared", a.Name, got, err)
		}
		if a.Value != "" && r.Told(t.Context(), bad) == nil {
			t.Errorf("%s tells nothing", a.Name)
		}
	}
}

func inputOf(t *testing.T, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
