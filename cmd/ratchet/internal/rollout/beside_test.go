package rollout

import (
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor"
)

// What reaches no further than the waves that are open is nobody's harm.
func TestAnOfferBesideARolloutReachesNoFurther(t *testing.T) {
	in := func(s State) []byte {
		d := opened()
		d.State, d.Waves = s, []Wave{{Percent: 10}, {Percent: 100}}
		return d.Encode()
	}
	share := func(p float64) *executor.Rollout { return &executor.Rollout{Percent: p} }
	for _, c := range []struct {
		name    string
		there   []byte
		offered *executor.Rollout
		want    string // nothing where it may be sent
	}{
		{"no rollout", nil, nil, ""},
		{"to all, done", in(Done), nil, ""},
		{"to all, running", in(Running), nil, "is running in wave 1 of 2 (10 %)"},
		{"to all, paused", in(Paused), nil, "is paused in wave 1 of 2 (10 %)"},
		{"to more", in(Running), share(11), "is running"},
		{"to as many", in(Running), share(10), ""},
		{"to nobody, aborted", in(Aborted), share(0), ""},
		{"to a few, aborted", in(Aborted), share(1), "was aborted"},
		{"to those of another where", in(Running), &executor.Rollout{Where: "true"}, "is running"},
		{"unreadable", []byte("{"), share(10), "cannot be read"},
	} {
		got := ""
		if err := Beside(opened().Job, c.there, c.offered); err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
