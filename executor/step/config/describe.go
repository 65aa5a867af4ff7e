package config

import (
	"maps"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/executor"
)

// Describe implements executor.Describer.
func (k Kind) Describe(s executor.Step) executor.Description {
	return executor.Description{
		Places:    map[string]executor.Place{"content": executor.One, "validate": executor.Words, "apply": executor.Words, "uci": executor.Values},
		Does:      does(executor.ReadParams(s.With)),
		Cut:       "it is applied again from what was saved; no file is ever half",
		Undo:      "the old settings are put back and applied",
		MayCutOff: true,
	}
}

func does(p executor.Params) string {
	var parts []string
	if files, ok := p["files"].([]any); ok {
		parts = append(parts, "writes "+strings.Join(pathsOf(files), ", "))
	}
	if uci, ok := p["uci"].(map[string]any); ok {
		parts = append(parts, "sets "+strings.Join(slices.Sorted(maps.Keys(uci)), ", "))
	}
	if argv := p.List("validate"); len(argv) > 0 {
		parts = append(parts, "checks with "+strings.Join(argv, " "))
	}
	if argv := p.List("apply"); len(argv) > 0 {
		parts = append(parts, "applies with "+strings.Join(argv, " "))
	}
	return strings.Join(parts, "; ")
}

func pathsOf(files []any) []string {
	var paths []string
	for _, f := range files {
		file, _ := f.(map[string]any)
		paths = append(paths, executor.Params(file).Text("path"))
	}
	return paths
}
