package telemetry

import (
	"path/filepath"
	"regexp"
	"strconv"
)

// coolers are the cooling devices that slow the processor down; others are fans.
var coolers = regexp.MustCompile(`(?i)^(processor|.*cpufreq.*|cpu.*)$`)

// throttled reports whether the processor is slowed down now. Raspberry Pis do
// that in their firmware, of which the kernel knows nothing: bits 0 to 3 of
// its word are low voltage, a bound frequency, throttling and the soft limit.
func throttled(t tree) bool {
	firmware, err := strconv.ParseUint(word(t.sys, "devices/platform/soc/soc:firmware/get_throttled"), 16, 32)
	if err == nil && firmware&0xf != 0 {
		return true
	}
	found, _ := filepath.Glob(filepath.Join(t.sys, "class/thermal/cooling_device*"))
	for _, dir := range found {
		state, err := strconv.Atoi(word(dir, "cur_state"))
		if err == nil && state > 0 && coolers.MatchString(word(dir, "type")) {
			return true
		}
	}
	return false
}
