package main

import (
	"fmt"
	"slices"

	"github.com/ratchetd/ratchet/agent"
	"github.com/ratchetd/ratchet/executor"
)

// coming are kinds of the contract that no agent has yet. A device may run
// fewer than there are: its facts say which.
var coming = []string{"firmware"}

// checkKinds holds a job with one step against that step's kind.
func checkKinds(j executor.Job) error {
	kinds, kind := agent.Kinds(), j.Steps[0].Kind
	if kinds[kind] == nil && slices.Contains(coming, kind) {
		return nil
	}
	if kinds[kind] == nil {
		return fmt.Errorf("steps[0].%s: no such kind or field", kind)
	}
	return kinds.Check(j)
}
