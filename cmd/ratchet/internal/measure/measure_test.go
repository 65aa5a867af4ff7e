package measure_test

import (
	"context"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/broker"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/measure"
)

// Everything is measured, each setting that is to be changed is known for every
// broker, and nothing is left behind.
func TestABrokerIsMeasuredAndLeftAsItWas(t *testing.T) {
	url, stop, err := broker.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	o := link.Options{Broker: url, Root: "ratchet/v1"}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	rows, err := (&measure.Check{Options: o, Messages: 100, Say: func(string) {}}).Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]measure.Row{}
	for _, r := range rows {
		found[r.What] = r
		if r.Remedy != "" && len(measure.Remedies[r.Remedy]) != len(measure.Brokers) {
			t.Errorf("%s: nobody knows what to set", r.What)
		}
	}
	for _, what := range []string{"retained publishes taken", "retained to one wildcard, QoS 0", "retained to one wildcard, QoS 1", "kept of what was published",
		"the longest message", "last will of a silent device", "session of a device that is away", "queue of a device that is away"} {
		if r, ok := found[what]; !ok || !r.Good {
			t.Errorf("%s: got %+v", what, r)
		}
	}
	p, err := link.Dial(ctx, o, "looks-after-it", false)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Subscribe("ratchet/v1/#", 0); err != nil {
		t.Fatal(err)
	}
	if got := p.Got(ctx, time.Second); len(got) > 0 {
		t.Errorf("%d messages are left", len(got))
	}
}
