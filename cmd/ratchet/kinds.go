package main

import (
	"fmt"

	"github.com/ratchetd/ratchet/agent"
	"github.com/ratchetd/ratchet/executor"
)

// checkKinds holds a job with one step against that step's kind. A device may
// run fewer kinds than there are: its facts say which.
func checkKinds(j executor.Job) error {
	kinds, kind := agent.Kinds(), j.Steps[0].Kind
	if kinds[kind] == nil {
		return fmt.Errorf("steps[0].%s: no such kind or field", kind)
	}
	return kinds.Check(j)
}
