package hub

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"time"
	"unicode"

	mochi "github.com/mochi-mqtt/server/v2"
)

// Bounds of a twin [twins].
const (
	maxSection = 32 << 10 // of desired and of reported
	maxTags    = 8 << 10
	maxDepth   = 10
	maxString  = 4 << 10
	maxKey     = 1 << 10
	maxInteger = 1 << 52 // either way
)

// A Twin is a device's. Tags never reach the device.
type Twin struct {
	Tags, Desired, Reported         map[string]any
	DesiredVersion, ReportedVersion int64
}

func newTwin() Twin {
	return Twin{map[string]any{}, map[string]any{}, map[string]any{}, 1, 1}
}

// errTooLarge is a section above its bound.
var errTooLarge = errors.New("the section would be too large")

// patched is a section after a patch: null takes a key away, objects are
// merged, all else replaces [twins]. The section itself stays as it was.
func patched(section map[string]any, patch []byte, most int) (map[string]any, error) {
	p, err := object(patch)
	if err != nil {
		return nil, err
	}
	if err := valid(p, 1); err != nil {
		return nil, err
	}
	result := merge(section, p)
	if size(result) > most {
		return nil, errTooLarge
	}
	return result, nil
}

// object reads one JSON object, with its numbers as they are.
func object(text []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF || v == nil {
		return nil, errors.New("want one object")
	}
	return v, nil
}

func merge(into, patch map[string]any) map[string]any {
	result := maps.Clone(into)
	for key, v := range patch {
		child, isObject := v.(map[string]any)
		was, _ := result[key].(map[string]any)
		switch {
		case v == nil:
			delete(result, key)
		case isObject && was != nil:
			result[key] = merge(was, child)
		case isObject:
			result[key] = merge(map[string]any{}, child)
		default:
			result[key] = v
		}
	}
	return result
}

// valid checks a value against the bounds of twins [twins].
func valid(v any, depth int) error {
	switch v := v.(type) {
	case map[string]any:
		if depth > maxDepth {
			return errors.New("too deep")
		}
		for key, child := range v {
			if err := validKey(key); err != nil {
				return err
			}
			if err := valid(child, depth+1); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
	case []any:
		for _, child := range v {
			if err := valid(child, depth+1); err != nil {
				return err
			}
		}
	case string:
		if len(v) > maxString {
			return fmt.Errorf("a string of %d bytes", len(v))
		}
	case json.Number:
		if n, err := v.Int64(); err == nil && (n < -maxInteger || n >= maxInteger) {
			return fmt.Errorf("the number %s", v)
		}
	}
	return nil
}

// validKey wants no control characters, dots, dollars and blanks.
func validKey(key string) error {
	if key == "" || len(key) > maxKey || strings.ContainsAny(key, ".$ ") || strings.ContainsFunc(key, unicode.IsControl) {
		return fmt.Errorf("the key %q", key)
	}
	return nil
}

// size is that of the compact JSON: more than the service counts, which leaves
// out quotes and braces.
func size(v any) int {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // of what was read from JSON
	}
	return len(text)
}

// section is one as devices get it, with its version.
func section(s map[string]any, version int64) map[string]any {
	s = maps.Clone(s)
	s["$version"] = version
	return s
}

// answerGet answers a device that asks for its twin [mqtt].
func (h *Hub) answerGet(cl *mochi.Client, topic, rid string) {
	h.mu.Lock()
	t := h.devices[cl.ID].twin
	text, err := json.Marshal(map[string]any{"desired": section(t.Desired, t.DesiredVersion), "reported": section(t.Reported, t.ReportedVersion)})
	h.mu.Unlock()
	if err != nil {
		panic(err) // of what was read from JSON
	}
	h.reply(cl, h.fate(topic), 200, "?$rid="+rid, text)
}

// answerPatch takes a patch of the reported properties: 204 with the new
// version, or 400 and no effect [mqtt, twins].
func (h *Hub) answerPatch(cl *mochi.Client, topic, rid string, patch []byte) {
	fate := h.fate(topic)
	query := "?$rid=" + rid
	if fate.Status != 0 {
		h.reply(cl, fate, fate.Status, query, nil)
		return
	}
	h.mu.Lock()
	t := &h.devices[cl.ID].twin
	reported, err := patched(t.Reported, patch, maxSection)
	if err == nil {
		t.Reported = reported
		t.ReportedVersion++
		query = fmt.Sprintf("%s&$version=%d", query, t.ReportedVersion)
	} else {
		h.Note(cl.ID, "400: "+err.Error())
	}
	h.mu.Unlock()
	if err != nil {
		h.reply(cl, fate, 400, query, nil)
		return
	}
	h.reply(cl, fate, 204, query, nil)
}

// reply answers a request about the twin, as its fate wants.
func (h *Hub) reply(cl *mochi.Client, f Fate, status int, query string, body []byte) {
	switch {
	case f.Cut:
		h.End(cl, "cut")
		return
	case f.Lost:
		return
	case f.Status != 0:
		status, body = f.Status, nil
	}
	answer := func() {
		topic := fmt.Sprintf("$iothub/twin/res/%d/%s", status, query)
		send(cl, filterAnswers, topic, body)
		if f.Twice {
			send(cl, filterAnswers, topic, body)
		}
	}
	if f.Delay == 0 {
		answer()
		return
	}
	time.AfterFunc(f.Delay, answer)
}

// Twin is the device's, as it is now.
func (h *Hub) Twin(id string) Twin {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.devices[id].twin
}

// Desire patches the desired properties, as a service does, and hands the
// patch to the device if it is connected and has subscribed. For one that is
// not, nothing is kept: it has to get the twin [twins].
func (h *Hub) Desire(id string, patch []byte) error {
	h.mu.Lock()
	d, ok := h.devices[id]
	if !ok {
		h.mu.Unlock()
		return errors.New("there is no such device")
	}
	desired, err := patched(d.twin.Desired, patch, maxSection)
	if err != nil {
		h.mu.Unlock()
		return err
	}
	d.twin.Desired = desired
	d.twin.DesiredVersion++
	version := d.twin.DesiredVersion
	h.mu.Unlock()
	p, err := object(patch)
	if err != nil {
		return err
	}
	body, err := json.Marshal(section(p, version))
	if err != nil {
		return err
	}
	topic := fmt.Sprintf("$iothub/twin/PATCH/properties/desired/?$version=%d", version)
	if f := h.fate(topic); !f.Lost {
		h.notify(id, f, topic, body)
	}
	return nil
}

func (h *Hub) notify(id string, f Fate, topic string, body []byte) {
	time.AfterFunc(f.Delay, func() {
		if cl := h.Client(id); cl != nil {
			send(cl, filterDesired, topic, body)
			if f.Twice {
				send(cl, filterDesired, topic, body)
			}
		}
	})
}

// Tag patches the device's tags.
func (h *Hub) Tag(id string, patch []byte) error {
	h.mu.Lock()
	d, ok := h.devices[id]
	if !ok {
		h.mu.Unlock()
		return errors.New("there is no such device")
	}
	tags, err := patched(d.twin.Tags, patch, maxTags)
	if err == nil {
		d.twin.Tags = tags
	}
	h.mu.Unlock()
	if err == nil {
		h.configure()
	}
	return err
}
