// Package aggregate groups records and summarises each group, in one pass and in
// bounded memory. Where the records come from and where the groups go it does not know.
package aggregate

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/executor"
)

// A Spec is the parameter aggregate of a data step: by what to group, and what to say of
// each group.
type Spec struct {
	By     []string          `json:"by,omitempty"`     // paths
	Every  *Every            `json:"every,omitempty"`  // nil: not by time
	Values map[string]string `json:"values"`           // by name: "count" or "function(path)"
	Groups int               `json:"groups,omitempty"` // the most that there may be; 0 is 1000
	Other  bool              `json:"other,omitempty"`  // what is in none of those is a group of its own
}

// Every groups by time too.
type Every struct {
	Time     string            `json:"time"` // the path of the time
	Duration executor.Duration `json:"duration"`
}

const (
	usualGroups = 1000
	maxGroups   = 10_000
	maxBy       = 8
	maxValues   = 32

	timeName, otherName = "time", "other" // fields of what comes out
)

// Check reports what is wrong, by the field's name.
func (s *Spec) Check() error {
	_, err := s.plan()
	return err
}

// String says what comes out: "one line for each .sensor and 5m of .time: sensor, time, n".
func (s *Spec) String() string {
	each, names := slices.Clone(s.By), []string{}
	fields, _ := s.fields() // what is wrong is said by Check
	for _, f := range fields {
		names = append(names, f.name)
	}
	if s.Every != nil {
		each = append(each, fmt.Sprintf("%s of %s", executor.Span(s.Every.Duration), s.Every.Time))
		names = append(names, timeName)
	}
	names = append(names, slices.Sorted(maps.Keys(s.Values))...)
	if len(each) == 0 {
		return "one line: " + strings.Join(names, ", ")
	}
	return fmt.Sprintf("one line for each %s: %s", strings.Join(each, " and "), strings.Join(names, ", "))
}
