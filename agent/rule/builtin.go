package rule

import (
	"slices"
	"time"

	"github.com/ratchetd/ratchet/telemetry"
)

// Builtin are those that every device has, unless its owner takes them
// away, or has a rule of that name.
var Builtin = []Spec{
	{Name: "disk", When: "any(.disk[]; .percent > 90 or .inodesPercent > 90)", For: 5 * time.Minute,
		Clear: "all(.disk[]; .percent < 85 and .inodesPercent < 85)", Value: ".disk | max_by(.percent) | {path, percent, inodesPercent}"},
	{Name: "memory", When: ".memory.percent > 95", For: 2 * time.Minute, Clear: ".memory.percent < 90", Value: ".memory.percent"},
	{Name: "temperature", When: ".cpu.celsius > 85", For: 2 * time.Minute, Clear: ".cpu.celsius < 75", Value: ".cpu.celsius"},
	{Name: "flash-wear", When: "any(.flash[]; .wearPercent > 80 or .preEOL != null)", Value: ".flash | max_by(.wearPercent)"},
	{Name: "clock", When: ".clock.sane | not", For: 15 * time.Minute},
	{Name: "broker-flapping", When: ".link.drops >= 5", Clear: ".link.drops < 2", Value: ".link.drops"},
}

// prechecks are a quick look at a sample for each of them: without it the rule cannot
// hold, and jq need not be asked. A board that is well has no use for jq at all.
var prechecks = map[string]func(Input) bool{
	"disk": func(f Input) bool {
		return slices.ContainsFunc(f.Disk, func(d telemetry.Disk) bool { return above(d.Percent, 90) || above(d.Inodes, 90) })
	},
	"memory":      func(f Input) bool { return f.Memory != nil && above(f.Memory.Percent, 95) },
	"temperature": func(f Input) bool { return f.CPU != nil && above(f.CPU.Celsius, 85) },
	"flash-wear": func(f Input) bool {
		return slices.ContainsFunc(f.Flash, func(c telemetry.Flash) bool { return above(c.WearPercent, 80) || c.PreEOL != "" })
	},
	"clock":           func(f Input) bool { return !f.Clock.Sane },
	"broker-flapping": func(f Input) bool { return f.Link.Drops >= 5 },
}

func above(v *float64, limit float64) bool { return v != nil && *v > limit }

// Events are the built-in alerts that are raised where something happens.
var Events = []string{"certificate", "gave-up", "undo-failed", "journal-broken", "journal-older", "refused-by-broker", "no-room", "id-reused", "duplicate-id", "outcome-unreported", "collector", "configuration"}

// Names are the names of all of them.
func Names() []string {
	var names []string
	for _, r := range Builtin {
		names = append(names, r.Name)
	}
	return append(names, Events...)
}

// IsBuiltin reports whether that is the name of one.
func IsBuiltin(name string) bool { return slices.Contains(Names(), name) }
