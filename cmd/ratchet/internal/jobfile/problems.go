package jobfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/agent"
	"github.com/ratchetd/ratchet/executor"
)

// harmless stands in for a step that is wrong, so that the others can be judged.
func harmless(list string, i int) json.RawMessage {
	return fmt.Appendf(nil, `{"name":"harmless-%s-%d","command":{"argv":["true"]}}`, list, i)
}

// findProblems lists all that is wrong with a job. The rules are executor's,
// which stops at the first problem; so each part is checked against them alone,
// and then the good parts together.
func findProblems(text []byte) []error {
	job, err := executor.Parse(text)
	if err == nil {
		return stepProblems(job)
	}
	doc, split := Split(text)
	if split != nil || len(text) > executor.MaxDocument {
		return []error{err}
	}
	var found []error
	good := Document{}
	for _, m := range doc.members {
		bad, rest := m.judge()
		found = append(found, bad...)
		if rest.value != nil {
			good.members = append(good.members, rest)
		}
	}
	if good.index("id") < 0 {
		found = append(found, errors.New("id: missing: want 1 to 64 of A-Z a-z 0-9 _ -"))
		good = good.With("id", "x")
	}
	if _, err := executor.Parse(good.Text()); err != nil {
		found = append(found, err)
	}
	return found
}

func stepProblems(job executor.Job) []error {
	var found []error
	for i := range job.Total() {
		alone := executor.Job{ID: job.ID, Steps: []executor.Step{job.StepAt(i)}}
		if err := checkKind(alone); err != nil {
			list, at := "steps", i
			if i >= len(job.Steps) {
				list, at = "onFailure", i-len(job.Steps)
			}
			found = append(found, moved(err, list, at))
		}
	}
	return found
}

// judge lists what is wrong with a member, and returns what of it is good.
func (m member) judge() ([]error, member) {
	if m.name == "steps" || m.name == "onFailure" {
		return m.judgeSteps()
	}
	members := []member{{"id", json.RawMessage(`"x"`)}, m, {"steps", oneStep(harmless("steps", 0))}}
	if m.name == "id" {
		members = members[1:]
	}
	_, err := executor.Parse(Document{members: members}.Text())
	if err != nil && !strings.HasPrefix(err.Error(), m.name) { // a value that decodes itself does not know its name
		err = fmt.Errorf("%s: %w", m.name, err)
	}
	switch {
	case err == nil:
		return nil, m
	case m.name == "id":
		return []error{err}, member{"id", json.RawMessage(`"x"`)}
	}
	return []error{err}, member{}
}

func (m member) judgeSteps() ([]error, member) {
	var steps []json.RawMessage
	if json.Unmarshal(m.value, &steps) != nil {
		bad := errors.New(m.name + ": want a list of steps")
		return []error{bad}, member{m.name, oneStep(harmless(m.name, 0))}
	}
	var found []error
	for i, raw := range steps {
		doc := Document{members: []member{{"id", json.RawMessage(`"x"`)}, {"steps", oneStep(raw)}}}
		job, err := executor.Parse(doc.Text())
		if err == nil {
			err = checkKind(job)
		} else {
			steps[i] = harmless(m.name, i)
		}
		if err != nil {
			found = append(found, moved(err, m.name, i))
		}
	}
	m.value, _ = json.Marshal(steps) // what was decoded encodes
	return found, m
}

func oneStep(raw []byte) json.RawMessage {
	return slices.Concat([]byte{'['}, raw, []byte{']'})
}

// moved gives a problem of a step that was judged alone the step's own place.
func moved(err error, list string, i int) error {
	return errors.New(strings.Replace(err.Error(), "steps[0]", fmt.Sprintf("%s[%d]", list, i), 1))
}

// checkKind checks the one step of a job against its kind. A device may run
// fewer kinds than there are: its facts say which.
func checkKind(j executor.Job) error {
	kinds, kind := agent.Kinds(), j.Steps[0].Kind
	if kinds[kind] == nil {
		return fmt.Errorf("steps[0].%s: no such kind or field", kind)
	}
	return kinds.Check(j)
}
