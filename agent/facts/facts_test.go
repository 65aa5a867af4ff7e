package facts

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/jq"
	"github.com/ratchetd/ratchet/telemetry"
)

func TestFactsAreWhatTargetSees(t *testing.T) {
	c := &config.Config{Device: "gw-7", Tags: config.Values{"site": "berlin", "floor": int64(2)}, Policy: config.Policy{Allow: []string{"file", "command"}}}
	host := telemetry.Facts{Board: telemetry.Board{Arch: "mipsle"}, Network: []telemetry.Link{{Name: "eth0"}}}
	kinds := executor.Kinds{"reboot": nil, "file": nil, "command": nil}
	f := factsOf(c, host, kinds)
	f.Packages["dropbear"] = "2022.83"
	f.Custom["rack"] = json.RawMessage(`{"row":4}`)
	text, _ := f.encode()
	for range 10 {
		if again, _ := f.encode(); string(again) != string(text) {
			t.Fatalf("got %s, then %s: want the same twice", text, again)
		}
	}
	input, err := jq.Input(json.RawMessage(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{
		`.device == "gw-7"`, `.tags.site == "berlin" and .tags.floor == 2`, `.groups == []`, `.board.arch == "mipsle"`,
		`.kinds == ["command", "file"]`, `.api == 1`, `.network[0].name == "eth0"`, `.agent | length > 0`, `.os | has("kernel")`,
		`.packages.dropbear == "2022.83" and .packages.openssl == null`, `.custom.rack.row == 4`,
	} {
		e, err := jq.Compile(target)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := e.Bool(t.Context(), input); err != nil || !got {
			t.Errorf("%s: got %v, %v, want true in %s", target, got, err, text)
		}
	}
}

func TestWhatComesAndGoesIsNoOtherDevice(t *testing.T) {
	of := func(change func(*facts)) []byte {
		f := factsOf(&config.Config{Device: "gw-7"}, telemetry.Facts{}, nil)
		change(&f)
		text, _ := f.encode()
		return text
	}
	plain := of(func(*facts) {})
	for _, c := range []struct {
		name   string
		change func(*facts)
		want   bool
	}{
		{"nothing", func(*facts) {}, true},
		{"an address", func(f *facts) { f.Network = []telemetry.Link{{Name: "eth0"}} }, true},
		{"a fact of the owner's", func(f *facts) { f.Custom["signal"] = json.RawMessage("-71") }, true},
		{"a group", func(f *facts) { f.Groups = []string{"a"} }, false},
		{"a package", func(f *facts) { f.Packages["dropbear"] = "2" }, false},
	} {
		if got := sameButVolatile(plain, of(c.change)); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	if sameButVolatile(nil, plain) {
		t.Error("no facts are told from some")
	}
	for target, want := range map[string]bool{`.network[0].name == "eth0"`: true, `.custom.rack == 4`: true, `.tags.site == "berlin"`: false} {
		if got := asksVolatile(target); got != want {
			t.Errorf("%s: got %v, want %v", target, got, want)
		}
	}
}

func TestFactsAreBoundedByLeavingOutTheLargestOfTheOwners(t *testing.T) {
	f := factsOf(&config.Config{Device: "gw-7"}, telemetry.Facts{}, nil)
	size := func(n int) json.RawMessage { return json.RawMessage(`"` + strings.Repeat("x", n) + `"`) }
	f.Custom = map[string]json.RawMessage{"a": size(30 << 10), "b": size(60 << 10), "c": size(40 << 10), "d": size(100)}
	text, left := f.encode()
	if want := []string{"b", "c"}; !slices.Equal(left, want) || len(text) > 64<<10 || len(text) < 30<<10 {
		t.Errorf("got %v left out of %d bytes, want %v", left, len(text), want)
	}
}
