package hub

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A Configuration is an automatic one: what the desired properties of all
// devices in its scope are to hold [auto].
type Configuration struct {
	ID        string            `json:"id"`
	Labels    map[string]string `json:"labels,omitempty"`
	Condition string            `json:"targetCondition"`
	Priority  int               `json:"priority"`
	Content   Content           `json:"content"`
	Metrics   Metrics           `json:"metrics"`
	ETag      string            `json:"etag,omitempty"`

	where condition
	made  int // the newer wins where priorities are equal
}

// Content is what devices get: by path, such as properties.desired.jobs.roll1.
type Content struct {
	Device map[string]json.RawMessage `json:"deviceContent"`
}

// Metrics are queries by name, and what they count.
type Metrics struct {
	Queries map[string]string `json:"queries"`
	Results map[string]int    `json:"results,omitempty"`
}

// Bounds of configurations [auto].
const (
	maxConfigurations = 100
	maxMetrics        = 5
)

const desiredPath = "properties.desired."

func (c Content) check() error {
	for path := range c.Device {
		if !strings.HasPrefix(path, desiredPath) {
			return refuse(400, "ArgumentInvalid", "the content %q", path)
		}
	}
	return nil
}

// Configure sets a configuration and applies it.
func (h *Hub) Configure(c Configuration) error {
	err := c.Content.check()
	if err == nil {
		c.where, err = parseCondition(c.Condition)
	}
	for _, text := range c.Metrics.Queries {
		if err == nil {
			_, err = parseQuery(text)
		}
	}
	if err == nil && len(c.Metrics.Queries) > maxMetrics {
		err = refuse(400, "ArgumentInvalid", "%d metrics", len(c.Metrics.Queries))
	}
	if err != nil {
		return err
	}
	h.mu.Lock()
	if _, there := h.configs[c.ID]; !there && len(h.configs) >= maxConfigurations {
		h.mu.Unlock()
		return refuse(403, "ConfigurationCountLimitExceeded", "there are %d", maxConfigurations)
	}
	h.rids++
	c.made, c.ETag = h.rids, strconv.Itoa(h.rids)
	h.configs[c.ID] = c
	h.mu.Unlock()
	h.configure()
	return nil
}

// Configuration is one by its id, with what its metrics count.
func (h *Hub) Configuration(id string) (Configuration, error) {
	h.mu.Lock()
	c, ok := h.configs[id]
	h.mu.Unlock()
	if !ok {
		return c, refuse(404, "ConfigurationNotFound", "there is no configuration %q", id)
	}
	var err error
	c.Metrics.Results, err = h.Metrics(id)
	return c, err
}

// Configurations are all, by id.
func (h *Hub) Configurations() ([]Configuration, error) {
	h.mu.Lock()
	ids := slices.Sorted(maps.Keys(h.configs))
	h.mu.Unlock()
	list := []Configuration{}
	for _, id := range ids {
		c, err := h.Configuration(id)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// Unconfigure takes a configuration away: its fragments leave the twins.
func (h *Hub) Unconfigure(id string) {
	h.mu.Lock()
	delete(h.configs, id)
	h.mu.Unlock()
	h.configure()
}

// Apply gives one device a content, once.
func (h *Hub) Apply(id string, c Content) error {
	if err := c.check(); err != nil {
		return err
	}
	patch := map[string]any{}
	for path, content := range c.Device {
		put(patch, strings.Split(strings.TrimPrefix(path, desiredPath), "."), content)
	}
	text, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	return h.Desire(id, text)
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
	h.configuring.Lock() // else an older difference could come after a newer one
	defer h.configuring.Unlock()
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
		if holds(c.where, twin) {
			for path, content := range c.Content.Device {
				want[strings.TrimPrefix(path, desiredPath)] = string(content)
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
