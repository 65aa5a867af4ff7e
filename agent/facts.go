package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/telemetry"
)

// facts is what target sees of this device. Two of the same device are equal
// byte for byte as long as nothing has changed.
type facts struct {
	Device string   `json:"device"`
	Groups []string `json:"groups"`
	Tags   Values   `json:"tags"`
	Agent  string   `json:"agent"`
	telemetry.Facts
	Kinds []string `json:"kinds"` // of steps that this device can and may run
	API   int      `json:"api"`
}

// contract is the version of the job document that this agent speaks.
const contract = 1

// factsKept is how long facts that were read are good for: hundreds of offers
// may want them at once.
const factsKept = 5 * time.Second

// factsRead are facts and when they were read.
type factsRead struct {
	text []byte
	of   *Config
	at   time.Time
}

// facts is what they are now, as JSON.
func (a *Agent) facts() []byte {
	c, last := a.config.Load(), a.lastFacts.Load()
	if last == nil || last.of != c || time.Since(last.at) > factsKept {
		last = &factsRead{a.readFacts(c), c, time.Now()}
		a.lastFacts.Store(last)
	}
	return last.text
}

func (a *Agent) readFacts(c *Config) []byte {
	return encodeFacts(c, telemetry.Host(context.Background()), a.kinds())
}

func encodeFacts(c *Config, host telemetry.Facts, kinds executor.Kinds) []byte {
	f := facts{Device: c.Device, Groups: append([]string{}, c.Groups...), Tags: c.Tags, Agent: Version(),
		Facts: host, Kinds: []string{}, API: contract}
	if f.Tags == nil {
		f.Tags = Values{}
	}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		if c.Policy.allows(name) {
			f.Kinds = append(f.Kinds, name)
		}
	}
	text, err := json.Marshal(f)
	if err != nil {
		panic(err) // cannot be: texts, numbers and lists of them
	}
	return text
}

// allows tells whether steps of that kind may run on this device.
func (p *Policy) allows(kind string) bool {
	return slices.Contains(p.Allow, "*") || slices.Contains(p.Allow, kind)
}

// sameButNetwork tells whether two facts differ in nothing but the network,
// whose addresses come and go. Only other changes make a device judge every
// offer anew.
func sameButNetwork(x, y []byte) bool {
	return bytes.Equal(withoutNetwork(x), withoutNetwork(y))
}

func withoutNetwork(text []byte) []byte {
	var f map[string]json.RawMessage
	if json.Unmarshal(text, &f) != nil {
		return text
	}
	delete(f, "network")
	rest, _ := json.Marshal(f) // of what was just read
	return rest
}
