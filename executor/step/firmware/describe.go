package firmware

import "github.com/ratchetd/ratchet/executor"

// Describe implements executor.Describer.
func (k Kind) Describe(s executor.Step) executor.Description {
	p := executor.ReadParams(s.With)
	d := executor.Description{
		Places:   map[string]executor.Place{"url": executor.One},
		Does:     "writes the firmware " + p.Either("version", "url", "image") + " and boots it",
		Cut:      "it goes on at the phase it was in; a new system that does not confirm itself is left again, where the board can",
		Undo:     "the old system is booted again, where the board has two",
		Limit:    "given up after 5m without a byte, and after 1h of writing",
		Trial:    executor.Reconnected,
		Warnings: []string{"on a board with one firmware slot, as with sysupgrade, there is no way back: a bad image needs a visit"},
	}
	if p.Text("backend") == "sysupgrade" {
		d.Trial = ""
	}
	return d
}
