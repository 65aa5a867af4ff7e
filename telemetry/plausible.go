package telemetry

// A bound is what a figure can be on a board that works. A figure beyond it is the
// kernel's, a driver's or a container's mistake: it is never bent into the bound,
// for it would then look like a measurement.
type bound struct{ least, most float64 }

// holds reports whether v is plausible. What is no number is not.
func (b bound) holds(v float64) bool { return v >= b.least && v <= b.most }

// plausible are the bounds of what a sample has, by its name there. The README of
// this package says what comes in the place of a figure that is beyond them.
var plausible = map[string]bound{
	"uptime":             {0, 3e9},    // seconds
	"cpu.percent":        {-1, 101},   // before it is rounded: the kernel's counters may run backwards a little
	"cpu.celsius":        {-60, 150},  // no processor works beyond that
	"load":               {0, 1e6},    // tasks
	"pressure":           {0, 100},    // percent
	"memory.total":       {1e6, 1e15}, // bytes
	"memory.available":   {1e-9, 1},   // as a part of the total: a board without any does not run
	"memory.swapFree":    {0, 1},      // as a part of the total
	"disk.free":          {0, 1},      // as a part of the total
	"disk.inodesPercent": {0, 100},
	"flash.wear":         {1, 11}, // tenths of the life, as eMMC counts them; 11 is beyond it
	"flash.maxErases":    {1, 2e9},
	"network.rate":       {0, 1e11},    // bytes per second: 800 Gbit/s
	"network.speedMbit":  {1, 800_000}, // but for 65535, which is "unknown"
	"network.signalDBm":  {-127, -1},
	"conntrack.used":     {0, 2},    // as a part of the most that the table takes: it may be made smaller
	"rss":                {1, 1e14}, // bytes
}

func isPlausible(name string, v float64) bool { return plausible[name].holds(v) }
