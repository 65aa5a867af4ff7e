package jobfile

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ratchetd/ratchet/agent"
	"github.com/ratchetd/ratchet/executor"
)

// maxProblems is how many mistakes of one file are looked for.
const maxProblems = 100

// findProblems lists all that is wrong with a job. The rules are the device's,
// whose code stops at the first mistake; so what it names is put right in a copy,
// and the copy is judged again.
func findProblems(text []byte) []error {
	first := judge(text)
	if first == nil {
		return nil
	}
	doc, err := readTree(text)
	if err != nil || len(text) > executor.MaxDocument {
		return []error{first}
	}
	found := []error{first}
	for err := first; err != nil && len(found) < maxProblems && doc.mend(err.Error()); {
		if err = judge(doc.text()); err != nil && !doc.consequence(err.Error()) {
			found = append(found, err)
		}
	}
	return found
}

// judge says why a device would refuse the document.
func judge(text []byte) error {
	job, err := executor.Parse(text)
	if err != nil {
		return err
	}
	return byPlace(agent.Check(job), job)
}

// byPlace gives a mistake that the device names by its step the step's place in
// the document.
func byPlace(err error, job executor.Job) error {
	if err == nil {
		return nil
	}
	for i := range job.Total() {
		rest, ok := strings.CutPrefix(err.Error(), "step "+job.StepAt(i).Name+": ")
		if !ok {
			continue
		}
		list, at := "steps", i
		if i >= len(job.Steps) {
			list, at = "onFailure", i-len(job.Steps)
		}
		return errors.New(fmt.Sprintf("%s[%d].", list, at) + rest)
	}
	return err
}
