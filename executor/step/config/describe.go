package config

import (
	"maps"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/executor"
)

// Describe implements executor.Describer.
func (k Kind) Describe(s executor.Step) executor.Description {
	p := executor.ReadParams(s.With)
	return executor.Description{
		Warnings:  oldFiles(p),
		Places:    map[string]executor.Place{"content": executor.One, "validate": executor.Words, "apply": executor.Words, "uci": executor.Values},
		Does:      does(p),
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
		parts = append(parts, "checks the new files, which lie below "+prepared+", with "+strings.Join(argv, " "))
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

// oldFiles warns of words of validate in which the path of a file is that of the old
// one: a shell, say, reads it as it stands there.
func oldFiles(p executor.Params) (warnings []string) {
	files, _ := p["files"].([]any)
	paths := pathsOf(files)
	for i, word := range p.List("validate") {
		if i == 0 || namedBy(word, paths) != "" {
			continue
		}
		for _, path := range paths {
			if mentions(word, path) {
				warnings = append(warnings, "validate names "+path+", which is the file as it was: write "+prepared+path+" for the new one")
			}
		}
	}
	return warnings
}

// mentions reports whether a path stands in a text as it is, with nothing of a path
// before or behind it.
func mentions(text, path string) bool {
	for at := 0; path != ""; at += len(path) {
		next := strings.Index(text[at:], path)
		if next < 0 {
			return false
		}
		at += next
		before, behind := text[:at], text[at+len(path):]
		if !strings.HasSuffix(before, "}") && !inPath(before, len(before)-1) && !inPath(behind, 0) && !strings.HasSuffix(before, prepared+`"`) {
			return true
		}
	}
	return false
}

// inPath reports whether the byte there may be a part of a path's name.
func inPath(text string, at int) bool {
	return at >= 0 && at < len(text) && (text[at] >= '0' && text[at] <= '9' || text[at] >= 'A' && text[at] <= 'Z' || text[at] >= 'a' && text[at] <= 'z' || strings.IndexByte("._-/", text[at]) >= 0)
}

// prepared is how a shell names the folder with the new files.
const prepared = "$RATCHET_PREPARED"
