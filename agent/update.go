package agent

import (
	"errors"
	"os"
	"slices"

	"github.com/ratchetd/ratchet/agent/build"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/packages"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/update"
)

// ErrRestart is Run's error when an update has exchanged the agent's binary:
// the program is to be started again.
var ErrRestart = errors.New("the agent starts again")

// update is the kind that exchanges this agent's binary.
func (a *Agent) update(p policy.Policy) update.Kind {
	path, err := os.Executable()
	if err != nil {
		path = os.Args[0]
	}
	return update.Kind{Groups: a.groups, Policy: p, Client: a.web, Package: packages.Kind{Groups: a.groups}, Keys: a.config.Load().Policy.Keys,
		Path: path, Version: build.Version(), Config: a.config.Load().Path(), Restart: a.restart}
}

func (a *Agent) restart() error {
	a.stop(ErrRestart)
	return nil
}

// begun reports whether one of the jobs has begun a step of that kind.
func begun(kind string, jobs ...executor.Record) bool {
	return slices.ContainsFunc(jobs, func(r executor.Record) bool {
		for i, s := range r.Steps {
			if i < r.Job.Total() && s.Attempts > 0 && r.Job.StepAt(i).Kind == kind {
				return true
			}
		}
		return false
	})
}

// forgetOld removes what an update has kept beside the agent's binary and what firmware
// has in the state directory, unless an unfinished job may still want it.
func (a *Agent) forgetOld(unfinished []executor.Record) {
	if !begun("update", unfinished...) {
		if err := a.update(a.policy()).Forget(); err != nil {
			a.log.Warn("what an update has kept beside the agent's binary stays", "err", err)
		}
	}
	if !begun("firmware", unfinished...) {
		if err := a.firmware().Forget(); err != nil {
			a.log.Warn("nothing confirms the running system at a boot while firmware.trial is in the state directory, and it cannot be removed", "err", err)
		}
	}
}
