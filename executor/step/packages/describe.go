package packages

import (
	"strings"

	"github.com/ratchetd/ratchet/executor"
)

// Describe implements executor.Describer.
func (k Kind) Describe(s executor.Step) executor.Description {
	return executor.Description{
		Does: does(executor.ReadParams(s.With)),
		Cut:  "it is run again; what is installed already is skipped",
		Undo: "reversed where the package manager can",
	}
}

func does(p executor.Params) string {
	var parts []string
	for _, verb := range []string{"install", "remove", "upgrade"} {
		switch names := p.List(verb); {
		case len(names) > 0:
			parts = append(parts, verb+"s "+strings.Join(names, ", "))
		case p[verb] == true:
			parts = append(parts, verb+"s all packages")
		}
	}
	if p["allowRemove"] == true {
		parts = append(parts, "may remove others for it")
	}
	return strings.Join(parts, "; ")
}
