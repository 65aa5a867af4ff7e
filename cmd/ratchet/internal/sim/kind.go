package sim

import (
	"context"
	"fmt"
	"time"

	"github.com/ratchetd/ratchet/agent"
	"github.com/ratchetd/ratchet/executor"
)

// slower is how many times as long a slow device takes.
const slower = 10

// A kind sleeps in the place of a real one, whose parameters it takes, and ends as
// the seed says.
type kind struct {
	executor.Kind // for Check
	device        *device
}

// Run implements executor.Kind.
func (k kind) Run(ctx context.Context, t *executor.Task) error {
	d, p := k.device, k.device.fleet.plan
	span := time.Duration(float64(p.Step) * (0.5 + draw(p.Seed, "span", d.id, t.Job, t.Step)))
	if d.slow {
		span *= slower
	}
	if err := executor.Sleep(ctx, t.Stopping, span); err != nil {
		return err
	}
	if d.fleet.fails(d, t.Job, d.truth.nth(t.Job)) {
		return fmt.Errorf("simulated: no space left on device, %d bytes missing", 1000+int(draw(p.Seed, "bytes", d.id)*9000))
	}
	fmt.Fprintf(t.Output, "simulated in %v\n", span.Round(time.Millisecond))
	d.truth.done(t.Job, t.Step)
	return nil
}

// kinds are those that a device runs, all of them simulated.
func (d *device) kinds() executor.Kinds {
	list := executor.Kinds{}
	for name, real := range agent.Kinds() {
		if d.old && newKinds[name] {
			continue
		}
		list[name] = kind{real, d}
	}
	return list
}

// newKinds are those that an old agent does not know.
var newKinds = map[string]bool{"data": true, "settings": true, "keys": true, "plugin": true}
