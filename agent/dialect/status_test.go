package dialect

import (
	"testing"

	"github.com/ratchetd/ratchet/executor"
)

func TestAFailureThatIsToleratedIsNamed(t *testing.T) {
	steps := []StepStatus{{Name: "a", State: executor.Succeeded}, {Name: "b", State: executor.Failed, Reason: "exit status 4"}, {Name: "c", State: executor.Failed}}
	for state, want := range map[executor.State]string{executor.Succeeded: "step b failed: exit status 4; step c failed", executor.Failed: "", executor.Running: ""} {
		if got := (JobStatus{State: state, Steps: steps}).Tolerated(); got != want {
			t.Errorf("%s: got %q, want %q", state, got, want)
		}
	}
}
