package executor

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A kindText is what there is to say about a kind of step.
type kindText struct {
	does  func(params) string
	cut   string // what a power cut in it means when it is run again
	undo  string // how it is taken back; empty when it cannot be
	limit string // its own timeout
	// trial is what it must withstand also without confirm; nil and empty is nothing
	trial func(params) string
}

// reconnected is what every trial asks for.
const reconnected = "the device must be connected anew"

var kindTexts = map[string]kindText{
	"command": {
		does:  doesCommand,
		cut:   "it is run again from its beginning, and told which attempt it is",
		limit: "at most 1h",
	},
	"download": {
		does: func(p params) string {
			return fmt.Sprintf("fetches %s to %s; kept only if its sha256 is right", p.text("url"), p.text("to"))
		},
		cut:   "it goes on at the byte where it was; what lies there is never half",
		undo:  "what was there before is put back, or the file is removed",
		limit: "given up after 5m without a byte",
	},
	"file": {
		does: doesFile,
		cut:  "it is written again; the file is the old one or the new one, never half of it",
		undo: "what was there before is put back",
	},
	"config": {
		does: doesConfig,
		cut:  "it is applied again from what was saved; no file is ever half",
		undo: "the old settings are put back and applied",
	},
	"package": {
		does: doesPackage,
		cut:  "it is run again; what is installed already is skipped",
		undo: "reversed where the package manager can",
	},
	"service": {
		does: func(p params) string { return fmt.Sprintf("%ss the service %s", p.text("action"), p.text("name")) },
		cut:  "it is run again, which changes nothing",
		undo: "the service is put back into its earlier state",
	},
	"diagnostic": {
		does: func(p params) string {
			return fmt.Sprintf("looks at %d things and repairs what it is told to", len(p.list("checks")))
		},
		cut: "it looks again",
	},
	"data": {
		does: func(p params) string {
			return fmt.Sprintf("puts %s through jq", strings.Join(p.list("inputs"), ", "))
		},
		cut:  "it begins again; nothing half is left",
		undo: "its output is removed",
	},
	"upload": {
		does: func(p params) string {
			return fmt.Sprintf("sends %s to %s", strings.Join(p.list("paths"), ", "), p.text("url"))
		},
		cut: "it is sent again from its beginning",
	},
	"certificate": {
		does: func(p params) string {
			if p["request"] != nil {
				return "makes a new key on the device and a request for its certificate"
			}
			return "installs a signed certificate"
		},
		cut:  "it goes on; at every moment there is a certificate with its key",
		undo: "the old certificate and key are put back",
		trial: func(p params) string {
			if p["install"] == nil {
				return ""
			}
			return reconnected
		},
	},
	"firmware": {
		does: func(p params) string {
			return "writes the firmware " + p.either("version", "url", "image") + " and boots it"
		},
		cut:   "it goes on at the phase it was in; a new system that does not confirm itself is left again, where the board can",
		undo:  "the old system is booted again, where the board has two",
		limit: "given up after 5m without a byte, and after 1h of writing",
		trial: func(p params) string {
			if p.text("backend") == "sysupgrade" {
				return ""
			}
			return reconnected
		},
	},
	"update": {
		does: func(p params) string {
			return "replaces the agent with " + p.either("version", "url") + ", if that runs here with the present configuration"
		},
		cut:   "it goes on at the phase it was in; there is a whole agent at every moment, and one that does not start three times is taken back",
		undo:  "the old agent is put back and started",
		trial: func(params) string { return reconnected },
	},
	"settings": {
		does:  func(p params) string { return "changes the agent's own settings " + p.text("name") },
		cut:   "the trial begins anew",
		undo:  "the old settings are put back",
		trial: func(params) string { return reconnected },
	},
	"keys": {
		does: func(p params) string {
			return fmt.Sprintf("sets the %d keys that may sign jobs", len(p.list("set")))
		},
		cut:  "the trial begins anew",
		undo: "the old keys are put back",
		trial: func(params) string {
			return reconnected + " and have accepted a job that one of the new keys signed"
		},
	},
	"reboot": {
		does:  func(params) string { return "reboots the device; done when it is up again" },
		cut:   "the cut is the reboot: the step is done",
		limit: "fails when the device has not gone down after 10m",
	},
	"plugin": {
		does: func(p params) string { return "runs the owner's plugin " + p.text("name") },
		cut:  "the plugin is run again with what it saved",
		undo: "by the plugin, if it can",
	},
}

func doesCommand(p params) string {
	words := "runs " + strings.Join(p.list("argv"), " ")
	if p["shell"] != nil {
		words = "runs in a shell: " + firstLine(p.text("shell"))
	}
	if p["user"] != nil {
		words += " as " + p.text("user")
	}
	return words
}

func doesFile(p params) string {
	switch {
	case p["absent"] == true:
		return "removes " + p.text("path")
	case p["from"] != nil:
		return fmt.Sprintf("copies %s to %s", p.text("from"), p.text("path"))
	}
	return "writes " + p.text("path")
}

func doesConfig(p params) string {
	var parts []string
	if files, ok := p["files"].([]any); ok {
		parts = append(parts, "writes "+strings.Join(pathsOf(files), ", "))
	}
	if uci, ok := p["uci"].(map[string]any); ok {
		parts = append(parts, "sets "+strings.Join(slices.Sorted(maps.Keys(uci)), ", "))
	}
	if argv := p.list("validate"); len(argv) > 0 {
		parts = append(parts, "checks with "+strings.Join(argv, " "))
	}
	if argv := p.list("apply"); len(argv) > 0 {
		parts = append(parts, "applies with "+strings.Join(argv, " "))
	}
	return strings.Join(parts, "; ")
}

func pathsOf(files []any) []string {
	var paths []string
	for _, f := range files {
		file, _ := f.(map[string]any)
		paths = append(paths, params(file).text("path"))
	}
	return paths
}

func doesPackage(p params) string {
	var parts []string
	for _, verb := range []string{"install", "remove", "upgrade"} {
		switch names := p.list(verb); {
		case len(names) > 0:
			parts = append(parts, verb+"s "+strings.Join(names, ", "))
		case p[verb] == true:
			parts = append(parts, verb+"s all packages")
		}
	}
	return strings.Join(parts, "; ")
}

// params are a step's parameters, read without its kind's rules.
type params map[string]any

func readParams(with json.RawMessage) params {
	var p params
	if json.Unmarshal(with, &p) != nil {
		return params{}
	}
	return p
}

// text is a parameter as people would say it; what the device fills in is named.
func (p params) text(name string) string { return spoken(p[name]) }

func spoken(v any) string {
	switch v := v.(type) {
	case nil:
		return "(not given)"
	case string:
		return v
	case map[string]any:
		for _, source := range []string{"jq", "secret"} {
			if s, ok := v[source].(string); ok {
				return fmt.Sprintf("(%s: %s)", source, s)
			}
		}
	}
	return fmt.Sprint(v)
}

func (p params) list(name string) []string {
	values, _ := p[name].([]any)
	var out []string
	for _, v := range values {
		out = append(out, spoken(v))
	}
	return out
}

// either is the first of the parameters that is given.
func (p params) either(names ...string) string {
	for _, name := range names {
		if p[name] != nil {
			return p.text(name)
		}
	}
	return spoken(nil)
}

func firstLine(text string) string {
	line, more, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if more != "" {
		line += " ..."
	}
	return line
}
