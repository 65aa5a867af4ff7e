package fleet_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/broker"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
)

// A device whose facts were cleared, or dropped, is asked for by name; what still
// is not there is named, and so is what no honest device sends.
func TestAListSaysWhetherItIsComplete(t *testing.T) {
	url, stop, err := broker.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	c, err := link.Connect(t.Context(), link.Options{Broker: url, Root: "r"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for id, facts := range map[string]string{"gw-1": `{"device":"gw-1"}`, "gw-2": "", "gw-3": strings.Repeat("[", 100)} {
		for part, text := range map[string]string{"state": `{"online":true}`, "facts": facts} {
			if err := c.Publish(t.Context(), dialect.Topic{Device: id, Part: part}, []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
	}
	f, err := fleet.Read(t.Context(), c, fleet.Devices)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(f.HalfCleared()); got != "[gw-2 gw-3]" {
		t.Errorf("half cleared: %s", got)
	}
	if got := f.Complete("3 devices"); !strings.HasPrefix(got, "3 devices, incomplete: ") || !strings.Contains(got, "left out") {
		t.Errorf("got %q", got)
	}
}

func TestJustAsManyAsABrokerGivesIsDoubted(t *testing.T) {
	for n, want := range map[int]bool{1019: true, 1020: false, 1021: true} {
		var messages []string
		for i := range n {
			messages = append(messages, fmt.Sprintf("device/gw-%d/state", i), `{"online":true}`)
		}
		got := heard(t, messages...).Complete("all")
		if strings.Contains(got, "incomplete") == want {
			t.Errorf("%d devices: %q", n, got)
		}
	}
}
