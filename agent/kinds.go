package agent

import (
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
)

// kinds is the registration: every kind of step that this device can run, by
// its present configuration.
func (a *Agent) kinds() executor.Kinds {
	policy := a.policy()
	return executor.Kinds{
		"command":    step.Command{Groups: a.groups, Policy: policy},
		"diagnostic": step.Diagnostic{Checker: a.checker(), Policy: policy, Mask: a.mask},
		"download":   step.Download{Policy: policy},
		"file":       step.File{Policy: policy},
		"reboot":     step.Reboot{Command: a.config.Load().Policy.Reboot},
	}
}
