package agent

import (
	"slices"
	"time"

	"github.com/ratchetd/ratchet/telemetry"
)

// builtinRules are those that every device has, unless its owner takes them
// away, or has a rule of that name.
var builtinRules = []Alert{
	{Name: "disk", When: "any(.disk[]; .percent > 90 or .inodesPercent > 90)", For: minutes(5),
		Clear: "all(.disk[]; .percent < 85 and .inodesPercent < 85)", Value: ".disk | max_by(.percent) | {path, percent, inodesPercent}"},
	{Name: "memory", When: ".memory.percent > 95", For: minutes(2), Clear: ".memory.percent < 90", Value: ".memory.percent"},
	{Name: "temperature", When: ".cpu.celsius > 85", For: minutes(2), Clear: ".cpu.celsius < 75", Value: ".cpu.celsius"},
	{Name: "flash-wear", When: "any(.flash[]; .wearPercent > 80 or .preEOL != null)", Value: ".flash | max_by(.wearPercent)"},
	{Name: "clock", When: ".clock.sane | not", For: minutes(15)},
	{Name: "broker-flapping", When: ".link.drops >= 5", Clear: ".link.drops < 2", Value: ".link.drops"},
}

// uneasy is a quick look at a sample for each of them: without it the rule cannot
// hold, and jq need not be asked. A board that is well has no use for jq at all.
var uneasy = map[string]func(felt) bool{
	"disk": func(f felt) bool {
		return slices.ContainsFunc(f.Disk, func(d telemetry.Disk) bool { return above(d.Percent, 90) || above(d.Inodes, 90) })
	},
	"memory":      func(f felt) bool { return f.Memory != nil && above(f.Memory.Percent, 95) },
	"temperature": func(f felt) bool { return f.CPU != nil && above(f.CPU.Celsius, 85) },
	"flash-wear": func(f felt) bool {
		return slices.ContainsFunc(f.Flash, func(c telemetry.Flash) bool { return above(c.WearPercent, 80) || c.PreEOL != "" })
	},
	"clock":           func(f felt) bool { return !f.Clock.Sane },
	"broker-flapping": func(f felt) bool { return f.Link.Drops >= 5 },
}

func above(v *float64, limit float64) bool { return v != nil && *v > limit }

// events are the built-in alerts that are raised where something happens.
var events = []string{"certificate", "gave-up", "undo-failed", "journal-broken", "no-room", "id-reused", "duplicate-id", "outcome-unreported"}

func minutes(n int) Duration { return Duration(time.Duration(n) * time.Minute) }

// builtins are the names of all of them.
func builtins() []string {
	var names []string
	for _, r := range builtinRules {
		names = append(names, r.Name)
	}
	return append(names, events...)
}

func builtin(name string) bool { return slices.Contains(builtins(), name) }

// wants reports whether the owner wants that built-in alert.
func (t *Telemetry) wants(name string) bool {
	return !slices.Contains(t.Builtin, "-"+name) && (slices.Contains(t.Builtin, "*") || slices.Contains(t.Builtin, name))
}
