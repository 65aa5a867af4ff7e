package executor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ratchetd/ratchet/executor/jq"
)

// Limits of a document.
const (
	MaxDocument = 128 << 10 // bytes
	MaxSteps    = 64        // steps and onFailure steps together
)

// A Job is what is asked: the document, immutable once accepted.
type Job struct {
	ID            string   `json:"id"`
	Description   string   `json:"description"`
	API           int      `json:"api"`
	Target        string   `json:"target"`
	Created       Time     `json:"created"`
	Spread        Duration `json:"spread"`
	NotBefore     Time     `json:"notBefore"`
	Expires       Time     `json:"expires"`
	Audience      []string `json:"audience"`
	Window        *Window  `json:"window"`
	Schedule      string   `json:"schedule"`
	Require       string   `json:"require"`
	Timeout       Duration `json:"timeout"`
	Force         bool     `json:"force"`
	Rollout       *Rollout `json:"rollout"`
	UndoOnFailure bool     `json:"undoOnFailure"`
	Steps         []Step   `json:"-"`
	OnFailure     []Step   `json:"-"`
}

// Window is when steps may begin: from each firing of Cron for Duration.
type Window struct {
	Cron     string   `json:"cron"`
	Duration Duration `json:"duration"`
	TZ       string   `json:"tz"`
}

var (
	idPattern     = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	devicePattern = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)
)

// ValidID reports whether a document may carry this id.
func ValidID(id string) bool { return idPattern.MatchString(id) }

// ValidDevice reports whether s can name a device or a group. It is never a
// part of a path, so "." and ".." are refused.
func ValidDevice(s string) bool {
	return devicePattern.MatchString(s) && strings.Trim(s, ".") != ""
}

// Parse reads a job document. Errors name the field; parameters of kinds are
// checked by Kinds.Check.
func Parse(text []byte) (Job, error) {
	var j Job
	if len(text) > MaxDocument {
		return j, fmt.Errorf("the document has %d bytes: at most %d are taken", len(text), MaxDocument)
	}
	doc := struct {
		*Job
		Steps     []json.RawMessage `json:"steps"`
		OnFailure []json.RawMessage `json:"onFailure"`
	}{Job: &j}
	if err := Decode(text, &doc); err != nil {
		return j, wantJSON(text, err)
	}
	for i, raw := range slices.Concat(doc.Steps, doc.OnFailure) {
		s, err := parseStep(raw)
		if err != nil {
			return j, fmt.Errorf("%s: %w", stepPath(i, len(doc.Steps)), err)
		}
		if i < len(doc.Steps) {
			j.Steps = append(j.Steps, s)
		} else {
			j.OnFailure = append(j.OnFailure, s)
		}
	}
	return j, j.validate()
}

// wantJSON says of a document that does not even begin like JSON what to do: most
// often it is YAML, which only the operator's tool reads.
func wantJSON(text []byte, err error) error {
	text = bytes.TrimSpace(Unmarked(text))
	begin, _ := utf8.DecodeRune(text)
	if strings.ContainsRune("{[\"\uFFFD", begin) || json.Valid(text) {
		return err
	}
	return fmt.Errorf("not JSON: it begins with %q: a device takes jobs as JSON: of YAML ratchet submit FILE --to device/ID --print makes it", begin)
}

func (j *Job) validate() error {
	switch {
	case !ValidID(j.ID):
		return fmt.Errorf("id: %q: want 1 to 64 of A-Z a-z 0-9 _ -", j.ID)
	case j.API < 0 || j.API > 1:
		return fmt.Errorf("api: this agent speaks 1, the job wants %d", j.API)
	case len(j.Steps) == 0:
		return errors.New("steps: want at least one step")
	case len(j.Steps)+len(j.OnFailure) > MaxSteps:
		return fmt.Errorf("steps: %d in all: at most %d are taken", len(j.Steps)+len(j.OnFailure), MaxSteps)
	case j.Window != nil && (j.Window.Cron == "" || j.Window.Duration <= 0):
		return errors.New("window: want cron and a duration above zero")
	}
	if err := j.Rollout.Check(); err != nil {
		return err
	}
	for i, a := range j.Audience {
		if !validAudience(a) {
			return fmt.Errorf("audience[%d]: %q: want device/ID, group/NAME or all", i, a)
		}
	}
	if _, err := compileIf(j.Target); err != nil {
		return fmt.Errorf("target: %w", err)
	}
	if _, err := compileIf(j.Require); err != nil {
		return fmt.Errorf("require: %w", err)
	}
	return j.validateSteps()
}

func validAudience(a string) bool {
	scope, name, _ := strings.Cut(a, "/")
	return a == "all" || (scope == "device" || scope == "group") && ValidDevice(name)
}

func (j *Job) validateSteps() error {
	names := map[string]bool{}
	for i := range len(j.Steps) + len(j.OnFailure) {
		s := j.StepAt(i)
		where := stepPath(i, len(j.Steps))
		if names[s.Name] {
			return fmt.Errorf("%s.name: %q stands twice in the job", where, s.Name)
		}
		names[s.Name] = true
		if err := s.validate(); err != nil {
			return fmt.Errorf("%s.%w", where, err)
		}
	}
	return nil
}

// StepAt returns the i-th step, where the onFailure steps follow the steps.
func (j *Job) StepAt(i int) Step {
	if i < len(j.Steps) {
		return j.Steps[i]
	}
	return j.OnFailure[i-len(j.Steps)]
}

// Total is how many steps the job has, those of onFailure included.
func (j *Job) Total() int { return len(j.Steps) + len(j.OnFailure) }

// compileIf compiles src unless it is empty.
func compileIf(src string) (*jq.Expr, error) {
	if src == "" {
		return nil, nil
	}
	return jq.Compile(src)
}
