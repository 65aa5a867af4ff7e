package agent

import (
	"encoding/json"
	"testing"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/telemetry"
)

func TestFactsAreWhatTargetSees(t *testing.T) {
	c := &Config{Device: "gw-7", Tags: Values{"site": "berlin", "floor": int64(2)}, Policy: Policy{Allow: []string{"file", "command"}}}
	host := telemetry.Facts{Board: telemetry.Board{Arch: "mipsle"}, Network: []telemetry.Link{{Name: "eth0"}}}
	kinds := executor.Kinds{"reboot": nil, "file": nil, "command": nil}
	text := encodeFacts(c, host, kinds)
	for range 10 {
		if again := encodeFacts(c, host, kinds); string(again) != string(text) {
			t.Fatalf("got %s, then %s: want the same twice", text, again)
		}
	}
	input, err := executor.Input(json.RawMessage(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{
		`.device == "gw-7"`, `.tags.site == "berlin" and .tags.floor == 2`, `.groups == []`, `.board.arch == "mipsle"`,
		`.kinds == ["command", "file"]`, `.api == 1`, `.network[0].name == "eth0"`, `.agent | length > 0`, `.os | has("kernel")`,
	} {
		e, err := executor.Compile(target)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := e.Bool(t.Context(), input); err != nil || !got {
			t.Errorf("%s: got %v, %v, want true in %s", target, got, err, text)
		}
	}
}

func TestAnAddressThatComesAndGoesIsNoOtherDevice(t *testing.T) {
	c, more := &Config{Device: "gw-7"}, &Config{Device: "gw-7", Groups: []string{"a"}}
	eth := telemetry.Facts{Network: []telemetry.Link{{Name: "eth0"}}}
	here, there, other := encodeFacts(c, eth, nil), encodeFacts(c, telemetry.Facts{}, nil), encodeFacts(more, eth, nil)
	if !sameButNetwork(here, there) {
		t.Errorf("got a difference beyond the network between %s and %s", here, there)
	}
	if sameButNetwork(here, other) || sameButNetwork(nil, here) {
		t.Errorf("got no difference between %s and %s, or nothing", here, other)
	}
}
