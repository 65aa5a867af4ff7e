package hub

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Configuration is an automatic one: what the desired properties of all
// devices in its scope are to hold [auto].
type Configuration struct {
	ID        string `json:"id"`
	Condition string `json:"targetCondition"`
	Priority  int    `json:"priority"`
	Content   struct {
		Device map[string]json.RawMessage `json:"deviceContent"` // by path, such as properties.desired.jobs.roll1
	} `json:"content"`
	Metrics struct {
		Queries map[string]string `json:"queries"`
	} `json:"metrics"`

	where condition
	made  int // the newer wins where priorities are equal
}

// Configure sets a configuration and applies it.
func (h *Hub) Configure(c Configuration) error {
	var err error
	if c.where, err = parseCondition(c.Condition); err != nil {
		return err
	}
	for path := range c.Content.Device {
		if !strings.HasPrefix(path, "properties.desired.") {
			return fmt.Errorf("400: the content %q", path)
		}
	}
	h.mu.Lock()
	h.rids++
	c.made = h.rids
	h.configs[c.ID] = c
	h.mu.Unlock()
	h.configure()
	return nil
}

// Unconfigure takes a configuration away: its fragments leave the twins.
func (h *Hub) Unconfigure(id string) {
	h.mu.Lock()
	delete(h.configs, id)
	h.mu.Unlock()
	h.configure()
}

// Metrics are the counts that a configuration asks for.
func (h *Hub) Metrics(id string) (map[string]int, error) {
	h.mu.Lock()
	c := h.configs[id]
	h.mu.Unlock()
	counts := map[string]int{}
	for name, text := range c.Metrics.Queries {
		list, err := h.Query(text)
		if err != nil {
			return nil, err
		}
		counts[name] = len(list)
	}
	return counts, nil
}

// configure brings every device's desired properties to what the
// configurations want: the highest priority wins at each path, and a fragment
// goes when the device leaves the scope [auto].
func (h *Hub) configure() {
	patches := map[string][]byte{}
	h.mu.Lock()
	for id, d := range h.devices {
		want := h.wanted(d.document(h.Client(id) != nil))
		if patch := d.difference(want); len(patch) > 0 {
			text, err := json.Marshal(patch)
			if err != nil {
				panic(err) // of what was read from JSON
			}
			patches[id] = text
		}
		d.applied = want
	}
	h.mu.Unlock()
	for id, patch := range patches {
		_ = h.Desire(id, patch) // one that does not fit is not applied
	}
}

// wanted is what the configurations want of a device, by path. The lock is held.
func (h *Hub) wanted(twin map[string]any) map[string]string {
	configs := slices.SortedFunc(maps.Values(h.configs), func(a, b Configuration) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.made, b.made))
	})
	want := map[string]string{}
	for _, c := range configs {
		if c.where.holds(twin) {
			for path, content := range c.Content.Device {
				want[strings.TrimPrefix(path, "properties.desired.")] = string(content)
			}
		}
	}
	return want
}

// difference is the patch that leads from what was applied to what is wanted.
func (d *device) difference(want map[string]string) map[string]any {
	patch := map[string]any{}
	for path := range d.applied {
		if _, ok := want[path]; !ok {
			put(patch, strings.Split(path, "."), nil)
		}
	}
	for path, content := range want {
		if d.applied[path] != content {
			put(patch, strings.Split(path, "."), json.RawMessage(content))
		}
	}
	return patch
}

func put(into map[string]any, path []string, v any) {
	for _, name := range path[:len(path)-1] {
		child, ok := into[name].(map[string]any)
		if !ok {
			child = map[string]any{}
			into[name] = child
		}
		into = child
	}
	into[path[len(path)-1]] = v
}
