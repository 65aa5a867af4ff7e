package agent

import (
	"context"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/telemetry"
)

// A Simulation is a board that is not there.
type Simulation struct {
	Kinds executor.Kinds   // the only ones that it runs
	Facts telemetry.Facts  // of the board
	Agent string           // the version that it says; empty is this one's
	Wall  func() time.Time // its clock; nil is right
}

// Simulate makes an agent one of many in a process that is no device: it runs the
// simulation's kinds alone, adopts no child, ends no leftover and opens no socket.
// Call it before Run.
func (a *Agent) Simulate(s Simulation) {
	a.simulated = &s
	a.clock.Wall = s.Wall
	a.facts.Agent = s.Agent
	a.facts.Host = func(context.Context) (telemetry.Facts, error) { return s.Facts, nil }
}
