package update

import "github.com/ratchetd/ratchet/executor"

// Describe implements executor.Describer.
func (k Kind) Describe(s executor.Step) executor.Description {
	return executor.Description{
		Places: map[string]executor.Place{"url": executor.One},
		Does:   "replaces the agent with " + executor.ReadParams(s.With).Either("version", "url") + ", if that runs here with the present configuration",
		Cut:    "it goes on at the phase it was in; there is a whole agent at every moment, and one that does not start three times is taken back",
		Undo:   "the old agent is put back and started",
		Trial:  executor.Reconnected,
	}
}
