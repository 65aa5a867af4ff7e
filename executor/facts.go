package executor

import (
	"fmt"
	"regexp"
)

var (
	factsAsField = regexp.MustCompile(`(^|[^A-Za-z0-9_"\])}.])\.facts\b`)
	factAsInput  = regexp.MustCompile(`(^|[^A-Za-z0-9_"\])}.])\.(device|groups|tags|agent|os|board|network|kinds|packages|custom)\b`)
)

// OfFacts says what is likely meant by an expression over the facts alone, such as a
// target, that looks for facts among them: it is never true, and no error. Empty: nothing.
func OfFacts(expr string) string {
	if !factsAsField.MatchString(expr) {
		return ""
	}
	return "it sees the facts themselves, and none is called facts: write .tags, say, and not .facts.tags"
}

// OfAll says what is likely meant by an expression over {facts, health, steps, vars,
// alert} that looks for a fact beside them. Empty: nothing.
func OfAll(expr string) string {
	m := factAsInput.FindStringSubmatch(expr)
	if m == nil || factsAsField.MatchString(expr) {
		return ""
	}
	return fmt.Sprintf("it sees facts, health, steps, vars and alert: write .facts.%s, and not .%[1]s", m[2])
}

// misplaced warns of expressions of the job that look for facts where none are.
func (j *Job) misplaced() (out []string) {
	note := func(at, hint string) {
		if hint != "" {
			out = append(out, at+": "+hint)
		}
	}
	note("target", OfFacts(j.Target))
	note("require", OfAll(j.Require))
	for i := range j.Total() {
		s := j.StepAt(i)
		note(s.Name+": when", OfAll(s.When))
	}
	return out
}
