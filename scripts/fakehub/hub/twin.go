package hub

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

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
	changes                         int // of tags and desired properties
}

func newTwin() Twin {
	return Twin{map[string]any{}, map[string]any{}, map[string]any{}, 1, 1, 1}
}

// etag is another one after each change by a service.
func (t Twin) etag() string {
	return base64.StdEncoding.EncodeToString([]byte(strconv.Itoa(t.changes)))
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
	if err := valid(p, 0); err != nil {
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

// valid checks a value against the bounds of twins. An object within the section
// has depth 1, as in the example of [twins].
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
		if n, err := v.Int64(); errors.Is(err, strconv.ErrRange) || err == nil && (n < -maxInteger || n >= maxInteger) {
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

// size counts as [twins] has it: names and texts in UTF-8 without control
// characters, 8 bytes for a number, 4 for a truth value. What null counts, which
// a list may hold, it does not say.
func size(v any) int {
	n := 0
	switch v := v.(type) {
	case map[string]any:
		for key, child := range v {
			n += len(key) + size(child)
		}
	case []any:
		for _, child := range v {
			n += size(child)
		}
	case string:
		for _, r := range v {
			if !unicode.IsControl(r) {
				n += utf8.RuneLen(r)
			}
		}
	case bool:
		n = 4
	default:
		n = 8
	}
	return n
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
	t := h.twin(cl.ID)
	text, err := json.Marshal(map[string]any{"desired": section(t.Desired, t.DesiredVersion), "reported": section(t.Reported, t.ReportedVersion)})
	h.mu.Unlock()
	if err != nil {
		panic(err) // of what was read from JSON
	}
	h.reply(cl, h.fate(topic), 200, "?$rid="+rid, text)
}

// answerPatch takes a patch of the reported properties: 204 with the new
// version, or 400 and no effect [mqtt, twins]. One for another version than base,
// which need not be given [node], is 412; the number is a guess.
func (h *Hub) answerPatch(cl *mochi.Client, topic, rid, base string, patch []byte) {
	fate := h.fate(topic)
	query := "?$rid=" + rid
	if fate.Status != 0 {
		h.reply(cl, fate, fate.Status, query, nil)
		return
	}
	version, err := h.report(cl.ID, base, patch)
	if err != nil {
		h.Note(cl.ID, err.Error())
		status := 400
		if r := new(Refusal); errors.As(err, &r) {
			status = r.Status
		}
		h.reply(cl, fate, status, query, nil)
		return
	}
	h.reply(cl, fate, 204, fmt.Sprintf("%s&$version=%d", query, version), nil)
	h.configure() // conditions may ask for reported properties [auto]
}

// report patches the reported properties of that version, or of any.
func (h *Hub) report(id, base string, patch []byte) (version int64, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.twin(id)
	if base != "" && base != strconv.FormatInt(t.ReportedVersion, 10) {
		return 0, refuse(412, "PreconditionFailed", "the version is %d, not %s", t.ReportedVersion, base)
	}
	reported, err := patched(t.Reported, patch, maxSection)
	if err != nil {
		return 0, err
	}
	t.Reported = reported
	t.ReportedVersion++
	return t.ReportedVersion, nil
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
	return *h.twin(id)
}

// twin is the device's; an empty one of nobody where the device is not
// registered any more, and its connection about to end. The lock is held.
func (h *Hub) twin(id string) *Twin {
	if d := h.devices[id]; d != nil {
		return &d.twin
	}
	t := newTwin()
	return &t
}

// Desire patches the desired properties, as a service does, and hands the
// patch to the device if it is connected and has subscribed. For one that is
// not, nothing is kept: it has to get the twin [twins].
func (h *Hub) Desire(id string, patch []byte) error { return h.change(id, "", nil, patch) }

// change patches tags and desired properties together, where the twin's etag
// matches.
func (h *Hub) change(id, match string, tags, desired []byte) error {
	h.mu.Lock()
	version, err := h.changed(id, match, tags, desired)
	h.mu.Unlock()
	if err != nil || desired == nil {
		return err
	}
	p, err := object(desired)
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

// changed does both or none, and returns the desired properties' version. The
// lock is held.
func (h *Hub) changed(id, match string, tags, desired []byte) (version int64, err error) {
	d, ok := h.devices[id]
	if !ok {
		return 0, noDevice(id)
	}
	after := d.twin
	err = matches(match, after.etag())
	if err == nil && tags != nil {
		after.Tags, err = patched(after.Tags, tags, maxTags)
	}
	if err == nil && desired != nil {
		after.Desired, err = patched(after.Desired, desired, maxSection)
		after.DesiredVersion++
	}
	if err != nil {
		return 0, err
	}
	after.changes++
	d.twin = after
	return after.DesiredVersion, nil
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
	err := h.change(id, "", patch, nil)
	if err == nil {
		h.configure()
	}
	return err
}

// Update patches tags and desired properties together, as services do [twins],
// where match is empty, "*" or the twin's etag.
func (h *Hub) Update(id, match string, patch json.RawMessage) error {
	var p struct {
		Tags       json.RawMessage
		Properties struct{ Desired json.RawMessage }
	}
	if err := decode(patch, &p); err != nil {
		return err
	}
	err := h.change(id, match, p.Tags, p.Properties.Desired)
	if err == nil {
		h.configure()
	}
	return err
}
