package data

import (
	"fmt"
	"strings"

	"github.com/ratchetd/ratchet/executor"
)

// Describe implements executor.Describer.
func (k Kind) Describe(s executor.Step) executor.Description {
	return executor.Description{
		Does: fmt.Sprintf("puts %s through jq", strings.Join(executor.ReadParams(s.With).List("inputs"), ", ")),
		Cut:  "it begins again; nothing half is left",
		Undo: "its output is removed",
	}
}
