package azure

import (
	"encoding/json"
	"testing"

	"github.com/ratchetd/ratchet/agent/dialect"
)

func TestFactsAreRevisedInOnePatchOfWhatDiffers(t *testing.T) {
	const now = `{"agent":"2","board":{"model":"x","cores":4},"groups":["a.b"],"kinds":[],"tags":{"site":"berlin","n":1e3,"gone":null}}`
	for _, c := range []struct{ name, held, want string }{
		{"none held", ``, `{"facts":{"agent":"2","board":{"cores":4,"model":"x"},"groups":{"a_b":true},"tags":{"n":1e3,"site":"berlin"}}}`},
		{"as they are", `{"agent":"2","board":{"cores":4,"model":"x"},"groups":{"a_b":true},"tags":{"n":1000,"site":"berlin"}}`, ``},
		{"as they are, empty objects kept", `{"agent":"2","board":{"cores":4,"model":"x"},"groups":{"a_b":true},"kinds":{},"packages":{},"tags":{"n":1000,"site":"berlin"}}`, ``},
		{"one changed", `{"agent":"1","board":{"cores":4,"model":"x"},"groups":{"a_b":true},"tags":{"n":1000,"site":"berlin"}}`, `{"facts":{"agent":"2"}}`},
		{"one gone", `{"agent":"2","board":{"cores":4,"model":"x"},"groups":{"a_b":true,"old":true},"tags":{"n":1000,"site":"berlin"},"custom":{"x":1}}`,
			`{"facts":{"custom":null,"groups":{"old":null}}}`},
		{"of another kind", `{"agent":{"x":1},"board":"y","groups":{"a_b":true},"tags":{"n":1000,"site":"berlin"}}`, `{"facts":{"agent":"2","board":{"cores":4,"model":"x"}}}`},
		{"no object", `"none"`, `{"facts":{"agent":"2","board":{"cores":4,"model":"x"},"groups":{"a_b":true},"tags":{"n":1e3,"site":"berlin"}}}`},
	} {
		messages := Dialect{}.Tell(dialect.Revision{Facts: dialect.Facts(now), Held: json.RawMessage(c.held)})
		if c.want == "" {
			if len(messages) > 0 {
				t.Errorf("%s: got %s, want nothing said", c.name, messages[0].Payload)
			}
			continue
		}
		if len(messages) != 1 || !sameJSON(t, string(messages[0].Payload), c.want) {
			t.Errorf("%s: got %d messages, %s, want %s", c.name, len(messages), messages[0].Payload, c.want)
		}
	}
}

// TestAFactThatATwinCannotHoldCostsNoOther: a hub refuses the whole patch over an integer
// of more than 52 bits, as serial numbers are.
func TestAFactThatATwinCannotHoldCostsNoOther(t *testing.T) {
	const facts = `{"agent":"2","tags":{"serial":5283920058631410000,"longer":52839200586314100001,"least":-4503599627370496,"less":-4503599627370497,"most":4503599627370495,"real":1e300}}`
	const want = `{"facts":{"agent":"2","tags":{"serial":"5283920058631410000","longer":"52839200586314100001","least":-4503599627370496,"less":"-4503599627370497","most":4503599627370495,"real":1e300}}}`
	got := Dialect{}.Tell(dialect.Revision{Facts: dialect.Facts(facts)})[0].Payload
	if !sameJSON(t, string(got), want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var canonical [2]any
	for i, text := range []string{a, b} {
		if err := json.Unmarshal([]byte(text), &canonical[i]); err != nil {
			t.Fatal(err)
		}
	}
	return string(dialect.Marshal(canonical[0])) == string(dialect.Marshal(canonical[1]))
}
