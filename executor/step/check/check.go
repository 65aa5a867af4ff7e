// Package check is one look at the device, or at what it needs around it: its
// document, what the owner allows of it, and the look itself. A diagnostic, a
// step's check and its confirm share it.
//
// It repairs nothing and puts checks into no order: that is the kind diagnostic's.
package check

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/redact"
	"github.com/ratchetd/ratchet/executor/step/process"
)

// A Check is one look at the device, or at what it needs around it. It has the
// same shape in a diagnostic, in a step's check and in its confirm.
type Check struct {
	Kind string // such as ping or disk
	text string // what is looked at, or
	argv []string
	limits
}

// limits are the keys of a check besides the one that names its kind.
type limits struct {
	Name   string            `json:"name"`
	Below  *float64          `json:"below"`
	Above  *float64          `json:"above"`
	Within executor.Duration `json:"within"` // the longest that it may take
	Status int               `json:"status"` // of http
	Repair []string          `json:"repair"` // of a diagnostic: run once when the check fails
}

const checkTimeout = 10 * time.Second // of a check that has no within

// Parse reads a check document; its errors name the field.
func Parse(raw json.RawMessage) (Check, error) {
	var keys map[string]json.RawMessage
	if err := executor.Decode(raw, &keys); err != nil {
		return Check{}, err
	}
	kind, err := kindAmong(keys)
	if err != nil {
		return Check{}, err
	}
	c := Check{Kind: kind}
	if err := checkKinds[kind].value(keys[kind], &c); err != nil {
		return c, fmt.Errorf("%s: %w", kind, err)
	}
	delete(keys, kind)
	rest, err := json.Marshal(keys)
	if err != nil {
		return c, err
	}
	if err := executor.Decode(rest, &c.limits); err != nil {
		return c, err
	}
	c.Name = cmp.Or(c.Name, c.title())
	return c, c.validate()
}

// kindAmong finds the one key that is none of the limits.
func kindAmong(keys map[string]json.RawMessage) (string, error) {
	var kinds []string
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if isLimit(key) {
			continue
		}
		if _, ok := checkKinds[key]; !ok {
			return "", fmt.Errorf("%s: no such check or field%s", key, executor.DidYouMean(key, known()))
		}
		kinds = append(kinds, key)
	}
	switch len(kinds) {
	case 0:
		return "", errors.New("it names nothing to check: want one key such as ping or disk")
	case 1:
		return kinds[0], nil
	}
	return "", fmt.Errorf("%s: want exactly one key that names what to check", strings.Join(kinds, " and "))
}

// known are the names of all checks and of their limits.
func known() []string {
	names := slices.Collect(maps.Keys(checkKinds))
	for _, f := range reflect.VisibleFields(reflect.TypeFor[limits]()) {
		names = append(names, f.Tag.Get("json"))
	}
	return names
}

func isLimit(key string) bool {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[limits]()) {
		if f.Tag.Get("json") == key {
			return true
		}
	}
	return false
}

// title names a check that has no name.
func (c Check) title() string {
	text := strings.TrimSpace(c.Kind + " " + redact.URLs(c.text+strings.Join(c.argv, " ")))
	return strings.Map(redact.Printable, redact.Clip(text, 64))
}

func (c Check) validate() error {
	measured := checkKinds[c.Kind].measured
	switch {
	case len(c.Name) > 64 || strings.Map(redact.Printable, c.Name) != c.Name:
		return fmt.Errorf("name: %q: want 1 to 64 printable characters", c.Name)
	case c.Below != nil && !measured:
		return fmt.Errorf("below: %s gives no figure", c.Kind)
	case c.Above != nil && !measured:
		return fmt.Errorf("above: %s gives no figure", c.Kind)
	case c.Below != nil && c.Above != nil && *c.Above >= *c.Below:
		return fmt.Errorf("above: %v and below %v leave no figure that passes", *c.Above, *c.Below)
	case c.Status != 0 && c.Kind != "http":
		return fmt.Errorf("status: %s gives no status", c.Kind)
	case c.Status != 0 && (c.Status < 100 || c.Status > 599):
		return fmt.Errorf("status: %d: want 100 to 599", c.Status)
	case c.Repair != nil:
		if err := process.CheckArgv(c.Repair); err != nil {
			return fmt.Errorf("repair: %w", err)
		}
	}
	return nil
}
