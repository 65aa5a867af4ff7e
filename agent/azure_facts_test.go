package agent

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ratchetd/ratchet/scripts/fakehub/hub"
)

// A factWatch cuts the connection after each patch of the facts, counts them,
// and looks before each message of the device whether the hub still has facts.
type factWatch struct {
	c    *cloud
	mu   sync.Mutex
	sent int
	lost string // the message before which they were away
}

func (w *factWatch) fate(topic string) hub.Fate {
	w.mu.Lock()
	defer w.mu.Unlock()
	if facts, _ := w.c.Twin("gw-1").Reported["facts"].(map[string]any); facts["agent"] == nil {
		w.lost = topic
	}
	if !strings.HasSuffix(topic, "$rid=facts") {
		return hub.Fate{}
	}
	w.sent++
	return hub.Fate{Cut: true}
}

// Target conditions ask for facts: a hub that has none for a moment cancels the
// jobs of the device.
func TestAHubHasTheFactsOfADeviceAtEveryMoment(t *testing.T) {
	c := newCloud(t, &hub.Hub{})
	d := c.device("tags = {site = \"berlin\", floor = 2}", "").start()
	has := func(condition string) bool {
		n, err := c.Count("SELECT COUNT() AS n FROM devices WHERE properties.reported.facts." + condition)
		return err == nil && n == 1
	}
	c.until("the facts", func() bool { return has("tags.floor = 2") })
	config := filepath.Join(d.dir, "ratchet.toml")
	w := &factWatch{c: c}
	c.SetFate(w.fate)
	for _, step := range []struct {
		tags, condition string
		sent            int
	}{
		{`site = "berlin", floor = 2`, "tags.floor = 2", 0},
		{`site = "berlin", floor = 3`, "tags.floor = 3", 1},
		{`site = "berlin"`, "tags.site = 'berlin'", 2},
		{`site = "berlin", door = "a"`, "tags.door = 'a'", 3},
	} {
		d.stop()
		before := c.Connects("gw-1")
		text := readAll(t, config)
		from := strings.Index(text, "tags = {")
		d.write("ratchet.toml", text[:from]+"tags = {"+step.tags+"}"+text[from+strings.Index(text[from:], "\n"):])
		d.start()
		c.until("a connection that stands", func() bool { return c.Connects("gw-1") > before && d.connected() })
		c.until(step.condition, func() bool { return has(step.condition) })
		c.until("the patches", func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.sent >= step.sent
		})
	}
	facts := c.Twin("gw-1").Reported["facts"].(map[string]any)
	w.mu.Lock()
	defer w.mu.Unlock()
	if tags, _ := facts["tags"].(map[string]any); len(tags) != 2 {
		t.Errorf("got the tags %v, want what was taken away gone", tags)
	}
	if w.lost != "" {
		t.Errorf("before %s the hub had no facts", w.lost)
	}
	if w.sent != 3 {
		t.Errorf("got %d patches, want one for each change", w.sent)
	}
}
