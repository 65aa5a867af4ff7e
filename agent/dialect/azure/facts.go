package azure

import (
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"strings"

	"github.com/ratchetd/ratchet/agent/dialect"
)

// maxTwinFacts bounds the reported facts, in bytes of JSON.
const maxTwinFacts = 4 << 10

// revise patches the reported facts to what they are now, in one patch: a hub
// that had none of them for a moment would take the device's jobs back, since
// target conditions ask for facts. There is none where nothing differs.
func revise(r dialect.Revision) []dialect.Message {
	var held map[string]any
	_ = json.Unmarshal(r.Held, &held) // what is no object is replaced
	patch := difference(held, plainOf(twinFacts(r.Facts)))
	if len(patch) == 0 && held != nil {
		return nil
	}
	return []dialect.Message{reportedPatch(ridFacts, map[string]any{"facts": patch})}
}

// plainOf is v as it is read back from JSON.
func plainOf(v any) map[string]any {
	var plain map[string]any
	_ = json.Unmarshal(dialect.Marshal(v), &plain) // of an object
	return plain
}

// difference is the patch that makes of what is held what is wanted: null
// takes a member away, objects are merged, and all else is replaced.
func difference(held, want map[string]any) map[string]any {
	patch := map[string]any{}
	for name := range held {
		if want[name] == nil {
			patch[name] = nil
		}
	}
	for name, v := range want {
		was, there := held[name]
		object, isObject := v.(map[string]any)
		before, wasObject := was.(map[string]any)
		switch {
		case v == nil, reflect.DeepEqual(was, v):
		case isObject && (wasObject || !there):
			if inner := difference(before, object); len(inner) > 0 {
				patch[name] = inner
			}
		default:
			patch[name] = v
		}
	}
	return patch
}

// twinFacts are the facts that fleets are queried by, as a twin can hold them.
func twinFacts(f dialect.Facts) map[string]any {
	all := dialect.Members(f)
	facts := map[string]any{}
	for _, name := range []string{"agent", "api", "os", "board"} {
		if all[name] != nil {
			facts[name] = all[name]
		}
	}
	for _, name := range []string{"groups", "kinds"} { // as {"routers": true}: queries know no lists
		facts[name] = set(all[name])
	}
	for _, name := range []string{"tags", "packages"} {
		values := twinKeys(dialect.Members(all[name]))
		if len(dialect.Marshal(facts))+len(dialect.Marshal(values)) < maxTwinFacts {
			facts[name] = values
		}
	}
	if len(dialect.Marshal(facts)) > maxTwinFacts {
		facts = map[string]any{"agent": all["agent"]}
	}
	return facts
}

func set(raw json.RawMessage) map[string]bool {
	var names []string
	_ = json.Unmarshal(raw, &names) // of our own facts
	there := map[string]bool{}
	for _, name := range names {
		there[twinKey(name)] = true
	}
	return there
}

func twinKeys(values map[string]json.RawMessage) map[string]json.RawMessage {
	clean := map[string]json.RawMessage{}
	for name, v := range values {
		if name != "" && len(v) < maxTwinText {
			clean[twinKey(name)] = holdable(v)
		}
	}
	return clean
}

// maxTwinInteger bounds the integers that a twin holds, either way.
const maxTwinInteger = 1 << 52

// holdable is a value as a twin can hold it: a longer integer as a text, for a hub would
// refuse all facts over it.
func holdable(v json.RawMessage) json.RawMessage {
	n, err := strconv.ParseInt(string(v), 10, 64)
	if errors.Is(err, strconv.ErrRange) || err == nil && (n < -maxTwinInteger || n >= maxTwinInteger) {
		return dialect.Marshal(string(v))
	}
	return v
}

// twinKey makes a name one that a twin can hold as a key.
func twinKey(name string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == '.' || r == '$' || r >= 0x7f && r < 0xa0 {
			return '_'
		}
		return r
	}, name)
}
