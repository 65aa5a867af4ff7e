package telemetry

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// signals are the levels, in dBm, at which radios hear the access point that
// they are connected to, by interface. Kernels without wireless extensions
// report nothing, and an access point hears nobody in particular.
func signals(t tree) map[string]int {
	text, _ := os.ReadFile(filepath.Join(t.proc, "net/wireless"))
	found := map[string]int{}
	for row := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(row, ":")
		f := strings.Fields(rest)
		if len(f) < 3 {
			continue
		}
		level, err := strconv.Atoi(strings.TrimSuffix(f[2], "."))
		if level > 63 { // old drivers give it as a byte without a sign
			level -= 256
		}
		if err == nil && isPlausible("network.signalDBm", float64(level)) {
			found[strings.TrimSpace(name)] = level
		}
	}
	return found
}

// speedMbit is what an Ethernet link negotiated; 0 where there is no link or
// no such thing.
func speedMbit(t tree, name string) uint64 {
	const unknown = 65535 // SPEED_UNKNOWN, where it was kept in 16 bits
	speed := number(t.sys, "class/net", name, "speed")
	if speed == unknown || !isPlausible("network.speedMbit", float64(speed)) {
		return 0
	}
	return speed
}
