package executor

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// A Step is one unit of work: an object with the common keys below and one
// more key, which names its kind. With holds that key's value, still unread.
type Step struct {
	Kind              string          `json:"-"`
	With              json.RawMessage `json:"-"`
	Name              string          `json:"name"`
	When              string          `json:"when"`
	Timeout           Duration        `json:"timeout"`
	Retry             Retry           `json:"retry"`
	IfInterrupted     string          `json:"ifInterrupted"`
	Check             json.RawMessage `json:"check"`
	Confirm           *Confirm        `json:"confirm"`
	ContinueOnFailure bool            `json:"continueOnFailure"`
	MaxInterruptions  int             `json:"maxInterruptions"`
	Stream            bool            `json:"stream"`
}

// Retry says how often a step is tried in all, and the pause in between.
type Retry struct {
	Attempts int      `json:"attempts"`
	Delay    Duration `json:"delay"`
}

// Confirm puts a step's change on trial: within that time the agent must be
// connected again and the check must pass, or the change is undone.
type Confirm struct {
	Within Duration        `json:"within"`
	Check  json.RawMessage `json:"check"`
}

// What is done with a step that had begun when the power went.
const (
	Rerun  = "rerun"  // it is run again; the default
	Verify = "verify" // its check decides whether it was done
	Fail   = "fail"   // it fails: it runs at most once
)

func parseStep(data []byte) (Step, error) {
	var s Step
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil || keys == nil {
		return s, errors.New("want an object")
	}
	shared, _ := shapeOf(reflect.TypeFor[Step]())
	var kinds []string
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if _, ok := shared[k]; !ok {
			kinds = append(kinds, k)
		}
	}
	switch len(kinds) {
	case 0:
		return s, errors.New("it names no kind: want one key such as command or file")
	case 1:
	default:
		return s, fmt.Errorf("%s: want exactly one key that names the kind%s", strings.Join(kinds, " and "), misspelt(kinds, shared))
	}
	s.Kind, s.With = kinds[0], keys[kinds[0]]
	delete(keys, s.Kind)
	rest, err := json.Marshal(keys)
	if err != nil {
		return s, err
	}
	return s, Decode(rest, &s)
}

// misspelt is which of the keys may have been meant for one that every step may have.
func misspelt(keys []string, shared map[string]reflect.Type) string {
	for _, key := range keys {
		if like := DidYouMean(key, slices.Collect(maps.Keys(shared))); like != "" {
			return fmt.Sprintf("; %s: %s", key, strings.TrimPrefix(like, "; "))
		}
	}
	return ""
}

func stepPath(i, steps int) string {
	if i < steps {
		return fmt.Sprintf("steps[%d]", i)
	}
	return fmt.Sprintf("onFailure[%d]", i-steps)
}

func (s *Step) validate() error {
	switch {
	case s.Name == "" || len(s.Name) > 64 || strings.ContainsFunc(s.Name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("name: %q: want 1 to 64 printable characters", s.Name)
	case !slices.Contains([]string{"", Rerun, Verify, Fail}, s.IfInterrupted):
		return fmt.Errorf("ifInterrupted: %q: want rerun, verify or fail", s.IfInterrupted)
	case s.IfInterrupted == Verify && s.Check == nil:
		return errors.New("check: ifInterrupted is verify, which needs a check")
	case s.Retry.Attempts < 0 || s.Retry.Attempts > 100:
		return fmt.Errorf("retry.attempts: %d: want 1 to 100", s.Retry.Attempts)
	case s.Retry.Delay > Duration(time.Hour):
		return errors.New("retry.delay: want at most 1h: other jobs wait for this one meanwhile")
	case s.MaxInterruptions < 0 || s.MaxInterruptions > 100:
		return fmt.Errorf("maxInterruptions: %d: want 1 to 100", s.MaxInterruptions)
	case s.Confirm != nil && s.Confirm.Within <= 0:
		return errors.New("confirm.within: want a duration above zero")
	}
	if _, err := compileIf(s.When); err != nil {
		return fmt.Errorf("when: %w", err)
	}
	return nil
}
