// Package facts is what a device says of itself: what a job's target sees. Some facts
// come and go, and a change of those alone means nothing to most targets.
package facts

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ratchetd/ratchet/agent/build"
	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/jq"
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

// Facts are those of one device. Set the exported fields before it is used.
type Facts struct {
	Config *config.Current
	Kinds  func() executor.Kinds // that this device can run now
	Custom telemetry.Custom      // the owner's own
	Log    *slog.Logger
	// Host reads those of the board; nil: of this machine.
	Host  func(context.Context) (telemetry.Facts, error)
	Agent string // the version; empty: this program's

	packages telemetry.Packages
	last     atomic.Pointer[read]
	volatile atomic.Bool // a target asked for facts that come and go
	failing  atomic.Pointer[string]
}

// A read is facts and when they were read.
type read struct {
	text []byte
	left []string // custom ones, for want of room
	of   *config.Config
	at   time.Time
}

// JSON is what they are now: the same bytes as long as nothing has changed.
func (f *Facts) JSON() []byte {
	c, last := f.Config.Load(), f.last.Load()
	if last == nil || last.of != c || time.Since(last.at) > factsKept {
		text, left := f.read(c).encode()
		if len(left) > 0 && (last == nil || !slices.Equal(left, last.left)) {
			f.Log.Warn("custom facts are left out: all facts may have 64 KiB together", "custom", left)
		}
		last = &read{text, left, c, time.Now()}
		f.last.Store(last)
	}
	return last.text
}

func (f *Facts) read(c *config.Config) facts {
	ctx := context.Background()
	read := telemetry.Host
	if f.Host != nil {
		read = f.Host
	}
	host, err := read(ctx)
	f.note(err)
	all := factsOf(c, host, f.Kinds())
	all.Agent = cmp.Or(f.Agent, all.Agent)
	all.Packages = f.packages.Versions(ctx, c.Facts.Packages)
	all.Custom = maps.Clone(f.Custom.Facts(ctx))
	return all
}

// note logs once what of the board cannot be read.
func (f *Facts) note(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if was := f.failing.Swap(&text); err != nil && (was == nil || *was != text) {
		f.Log.Warn("facts are told without what cannot be read", "err", err)
	}
}

// Failing says which of the board's own facts could not be read, and why; empty where
// all could.
func (f *Facts) Failing() string {
	if text := f.failing.Load(); text != nil {
		return *text
	}
	return ""
}

// Matches reports whether a target means this device.
func (f *Facts) Matches(ctx context.Context, target string) (bool, error) {
	e, err := jq.Compile(target)
	if err != nil {
		return false, err
	}
	if asksVolatile(target) {
		f.volatile.Store(true)
	}
	input, err := jq.Input(json.RawMessage(f.JSON()))
	if err != nil {
		return false, err
	}
	return e.Bool(ctx, input)
}

// Watch reads the owner's own facts again, now and then, and calls changed until
// ctx ends.
func (f *Facts) Watch(ctx context.Context, changed func()) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(factsEvery):
		}
		f.Custom.Refresh(ctx)
		changed()
	}
}

// Matter reports whether offers are to be judged again because the facts have
// changed: unless only such did as come and go, and no target asked for those.
func (f *Facts) Matter(before, now []byte) bool {
	return !sameButVolatile(before, now) || f.volatile.Load()
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

// volatile are the facts that come and go: addresses, and what a program of the
// owner's finds.
var volatile = []string{"network", "custom"}

// asksVolatile reports whether a target may ask for one of them.
func asksVolatile(target string) bool {
	return slices.ContainsFunc(volatile, func(name string) bool { return strings.Contains(target, name) })
}

// sameButVolatile reports whether two facts differ in nothing else. Only other
// changes make a device judge every offer again.
func sameButVolatile(x, y []byte) bool {
	return bytes.Equal(withoutVolatile(x), withoutVolatile(y))
}

func withoutVolatile(text []byte) []byte {
	var f map[string]json.RawMessage
	if json.Unmarshal(text, &f) != nil {
		return text
	}
	for _, name := range volatile {
		delete(f, name)
	}
	rest, _ := json.Marshal(f) // of what was just read
	return rest
}
