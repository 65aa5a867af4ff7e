package agent

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/facts"
	"github.com/ratchetd/ratchet/agent/intake"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/certificate"
	stepconfig "github.com/ratchetd/ratchet/executor/step/config"
	"github.com/ratchetd/ratchet/executor/step/data"
	"github.com/ratchetd/ratchet/executor/step/diagnostic"
	"github.com/ratchetd/ratchet/executor/step/packages"
	"github.com/ratchetd/ratchet/executor/step/upload"
)

// kinds is the registration: every kind of step that this device can run, by
// its present configuration.
func (a *Agent) kinds() executor.Kinds {
	if a.simulated != nil {
		return a.simulated.Kinds
	}
	policy, c := a.policy(), a.config.Load()
	return executor.Kinds{
		"certificate": a.certificateKind(),
		"command":     step.Command{Groups: a.groups, Policy: policy, Trusted: config.OwnProgram},
		"config":      stepconfig.Kind{Groups: a.groups, Policy: policy},
		"data":        data.Kind{Groups: a.groups, Policy: policy, Publish: a.publishData},
		"diagnostic":  diagnostic.Kind{Checker: a.checker(), Policy: policy, Mask: func(b []byte) []byte { return []byte(a.secrets.Hide(string(b))) }},
		"download":    step.Download{Policy: policy, Client: a.web},
		"file":        step.File{Policy: policy},
		"firmware":    a.firmware(),
		"keys":        a.keysKind(),
		"package":     packages.Kind{Groups: a.groups},
		"plugin":      step.Plugin{Dir: a.config.Load().Policy.PluginDir(), Groups: a.groups},
		"reboot":      step.Reboot{Command: c.Policy.Reboot},
		"service":     step.Service{Policy: policy, Groups: a.groups},
		"settings":    step.Settings{Dir: c.ConfDir(), Try: a.trySettings, Reload: a.reloadSettings},
		"update":      a.update(policy),
		"upload":      upload.Kind{Policy: policy, Client: a.web},
	}
}

// CheckPolicy says which kind of step the owner allows that this agent does not
// know, or nil.
func CheckPolicy(c *config.Config) error {
	return c.Policy.CheckAllow(slices.Sorted(maps.Keys(bare(c).kinds())))
}

// bare is an agent that has a configuration and nothing else: what it can and may
// run is known, and nothing runs.
func bare(c *config.Config) *Agent {
	a := &Agent{config: &config.Current{}, log: slog.New(slog.DiscardHandler), intake: intake.New()}
	a.config.Store(c)
	a.facts = &facts.Facts{Config: a.config, Kinds: a.kinds, Log: a.log}
	a.intake.Judge = intake.Judge{Config: a.config, Clock: &a.clock, Facts: a.facts}
	return a
}

// Kinds are those of a device that nobody has configured: their Check says what is
// wrong with a job's parameters. What its owner's policy says only a device knows.
func Kinds() executor.Kinds {
	a := bare(config.Default())
	list := a.kinds()
	firmware, update := a.firmware(), a.update(a.policy())
	firmware.Unowned, update.Unowned = true, true
	list["firmware"], list["update"] = firmware, update
	list["settings"], list["keys"], list["certificate"] = step.Settings{Try: func(name, content string, _ bool) error { return config.CheckPart(name, content) }}, step.Keys{}, certificate.Kind{}
	return list
}

// WorkerArg is the argument with which this program is a DataWorker.
const WorkerArg = data.WorkerArg

// DataWorker is the process in which a data step's program runs.
var DataWorker = data.Worker

// publishData sends a part of what a data step publishes, once there is a
// connection; it waits for one as long as the step may take.
func (a *Agent) publishData(ctx context.Context, job string, seq int, lines []byte) error {
	lines = a.secrets.HideLines(lines)
	for {
		if s := a.link.Session(); s != nil && s.Publish(ctx, a.config.Load().Dialect().Tell(dialect.Data{Job: job, Seq: seq, Lines: lines})) == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Second):
		}
	}
}
