package step

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/process"
)

// Reboot is the kind that reboots the device. It is done when the boot id is
// another one, whoever caused that. It has no undo.
type Reboot struct {
	Command []string // how to reboot; the zero value is "reboot"
}

type rebootWith struct {
	Delay executor.Duration `json:"delay"`
}

type rebootState struct {
	Boot string `json:"boot"` // the boot that is to end
}

// Check implements executor.Kind.
func (k Reboot) Check(with json.RawMessage) error {
	var w rebootWith
	return executor.Decode(with, &w)
}

// Run implements executor.Kind. It waits to be cut: its return in the same
// boot is a failure, or the stop of the agent.
func (k Reboot) Run(ctx context.Context, t *executor.Task) error {
	var w rebootWith
	if err := executor.Decode(t.With, &w); err != nil {
		return err
	}
	s := rebootState{Boot: t.Begun}
	if _, err := t.Load(&s); err != nil {
		return err
	}
	if s.Boot != "" && s.Boot != t.Boot {
		fmt.Fprintln(t.Output, "the device has rebooted")
		return nil
	}
	within := 10 * time.Minute
	if t.Timeout > 0 {
		within = time.Duration(t.Timeout)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("the device did not reboot within %s", within))
	defer cancel()
	defer t.Watch(ctx)()
	if err := executor.Sleep(ctx, t.Stopping, time.Duration(w.Delay)); err != nil {
		return err
	}
	if err := t.SaveBeforeReboot(rebootState{Boot: t.Boot}); err != nil {
		return err
	}
	return process.Reboot(ctx, t, k.Command)
}

// Describe implements executor.Describer.
func (k Reboot) Describe(executor.Step) executor.Description {
	return executor.Description{
		Does:      "reboots the device; done when it is up again",
		Cut:       "the cut is the reboot: the step is done",
		Limit:     "fails when the device has not gone down after 10m",
		EndsByCut: true,
	}
}
