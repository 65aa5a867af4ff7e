package agent

import (
	"fmt"

	"github.com/ratchetd/ratchet/executor"
)

// Explain says what each step of a document would do, and what a power cut
// there would mean.
func Explain(text []byte) ([]string, error) {
	j, err := executor.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("the document: %w", err)
	}
	if err := Kinds().Check(j); err != nil {
		return nil, fmt.Errorf("the document: %w", err)
	}
	return executor.Explain(j), nil
}
