package agent

import (
	"errors"
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
	err = errors.Join(Kinds().Check(j), checkWindow(j.Window))
	if j.Schedule != "" {
		_, wrong := readTimetable(j.Schedule, "")
		err = errors.Join(err, wrong)
	}
	if err != nil {
		return nil, fmt.Errorf("the document: %w", err)
	}
	return executor.Explain(j), nil
}
