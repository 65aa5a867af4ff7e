package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/build"
	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/telemetry"
)

// facts is what target sees of this device. Two of the same device are equal
// byte for byte as long as nothing has changed.
type facts struct {
	Device string        `json:"device"`
	Groups []string      `json:"groups"`
	Tags   config.Values `json:"tags"`
	Agent  string        `json:"agent"`
	telemetry.Facts
	Kinds    []string                   `json:"kinds"` // of steps that this device can and may run
	API      int                        `json:"api"`
	Packages map[string]string          `json:"packages"` // name to version
	Custom   map[string]json.RawMessage `json:"custom"`
}

// contract is the version of the job document that this agent speaks.
const contract = 1

const (
	// factsKept is how long facts that were read are good for: hundreds of
	// offers may want them at once.
	factsKept = 5 * time.Second
	// factsEvery is how often it is looked whether they have changed.
	factsEvery = time.Minute
	maxFacts   = 64 << 10
)

// factsRead are facts and when they were read.
type factsRead struct {
	text []byte
	left []string // custom ones, for want of room
	of   *config.Config
	at   time.Time
}

// facts is what they are now, as JSON.
func (a *Agent) facts() []byte {
	c, last := a.config.Load(), a.lastFacts.Load()
	if last == nil || last.of != c || time.Since(last.at) > factsKept {
		text, left := a.readFacts(c).encode()
		if len(left) > 0 && (last == nil || !slices.Equal(left, last.left)) {
			a.log.Warn("custom facts are left out: all facts may have 64 KiB together", "custom", left)
		}
		last = &factsRead{text, left, c, time.Now()}
		a.lastFacts.Store(last)
	}
	return last.text
}

func (a *Agent) readFacts(c *config.Config) facts {
	ctx := context.Background()
	f := factsOf(c, telemetry.Host(ctx), a.kinds())
	f.Packages = a.packages.Versions(ctx, c.Facts.Packages)
	f.Custom = maps.Clone(a.custom.Facts(ctx))
	return f
}

func factsOf(c *config.Config, host telemetry.Facts, kinds executor.Kinds) facts {
	f := facts{Device: c.Device, Groups: append([]string{}, c.Groups...), Tags: c.Tags, Agent: build.Version(),
		Facts: host, Kinds: []string{}, API: contract, Packages: map[string]string{}, Custom: map[string]json.RawMessage{}}
	if f.Tags == nil {
		f.Tags = config.Values{}
	}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		if c.Policy.Allows(name) {
			f.Kinds = append(f.Kinds, name)
		}
	}
	return f
}

// encode is the facts as JSON. Where they are too many for a message, the
// largest of the custom ones are left out.
func (f facts) encode() (text []byte, left []string) {
	for {
		text, err := json.Marshal(f)
		if err != nil {
			panic(err) // cannot be: texts, numbers and JSON that was read
		}
		if len(text) <= maxFacts || len(f.Custom) == 0 {
			return text, left
		}
		largest := slices.MaxFunc(slices.Sorted(maps.Keys(f.Custom)), func(x, y string) int {
			return len(f.Custom[x]) - len(f.Custom[y])
		})
		delete(f.Custom, largest)
		left = append(left, largest)
	}
}

// watchFacts reads the owner's own facts anew, now and then, and tells what has
// changed of all.
func (a *Agent) watchFacts(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(factsEvery):
		}
		a.custom.Refresh(ctx)
		a.tellFacts()
	}
}

// tellFacts tells facts that are not as they were told last. Offers are then
// judged anew, unless only such changed as come and go, and no target asked
// for one of those.
func (a *Agent) tellFacts() {
	n, told := a.link.current(), a.link.facts.Load()
	if n == nil || told == nil {
		return
	}
	text := a.facts()
	if bytes.Equal(*told, text) {
		return
	}
	a.link.facts.Store(&text)
	a.publish(n.conn, a.dialect().Tell(dialect.Facts(text)))
	if !sameButRestless(*told, text) || a.link.restless.Load() {
		a.link.restart()
	}
}

// restless are the facts that come and go: addresses, and what a program of the
// owner's finds.
var restless = []string{"network", "custom"}

// wantsRestless reports whether a target may ask for one of them.
func wantsRestless(target string) bool {
	return slices.ContainsFunc(restless, func(name string) bool { return strings.Contains(target, name) })
}

// sameButRestless reports whether two facts differ in nothing else. Only other
// changes make a device judge every offer anew.
func sameButRestless(x, y []byte) bool {
	return bytes.Equal(withoutRestless(x), withoutRestless(y))
}

func withoutRestless(text []byte) []byte {
	var f map[string]json.RawMessage
	if json.Unmarshal(text, &f) != nil {
		return text
	}
	for _, name := range restless {
		delete(f, name)
	}
	rest, _ := json.Marshal(f) // of what was just read
	return rest
}
