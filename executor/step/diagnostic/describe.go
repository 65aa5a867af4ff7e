package diagnostic

import (
	"fmt"

	"github.com/ratchetd/ratchet/executor"
)

// Describe implements executor.Describer.
func (k Kind) Describe(s executor.Step) executor.Description {
	return executor.Description{
		Does: fmt.Sprintf("looks at %d things and repairs what it is told to", len(executor.ReadParams(s.With).List("checks"))),
		Cut:  "it looks again",
	}
}
