package telemetry

import (
	"math"
	"path/filepath"
	"regexp"
	"strconv"
)

var (
	cpuZone = regexp.MustCompile(`(?i)cpu|soc|core|x86_pkg|imx|armada|sun\d+i|exynos`)
	anyZone = regexp.MustCompile(``)
	cpuChip = regexp.MustCompile(`^(coretemp|k10temp|zenpower|.*cpu.*)$`)
)

// celsius is the hottest of the processor's sensors. Boards name them as they
// like: thermal zones that sound like the processor come first, then such
// chips, then any thermal zone. The chips of radios and disks are not asked.
func celsius(t tree) *float64 {
	zones := filepath.Join(t.sys, "class/thermal/thermal_zone*")
	chips := filepath.Join(t.sys, "class/hwmon/hwmon*")
	for _, from := range []struct {
		dirs, label, values string
		match               *regexp.Regexp
	}{
		{zones, "type", "temp", cpuZone},
		{chips, "name", "temp*_input", cpuChip},
		{zones, "type", "temp", anyZone},
	} {
		if c := hottest(from.dirs, from.label, from.values, from.match); c != nil {
			return c
		}
	}
	return nil
}

func hottest(dirs, label, values string, match *regexp.Regexp) *float64 {
	var top *float64
	found, _ := filepath.Glob(dirs)
	for _, dir := range found {
		if !match.MatchString(word(dir, label)) {
			continue
		}
		files, _ := filepath.Glob(filepath.Join(dir, values))
		for _, file := range files {
			if c, ok := degrees(file); ok && (top == nil || c > *top) {
				top = &c
			}
		}
	}
	return top
}

// degrees reads millidegrees, or degrees where a driver gives those: a processor within
// a fifth of a degree of freezing is rarer. Sensors that are switched off give an error,
// zero, or a figure that no board survives. What is between the two, such as 470, may be
// tenths, so it is nothing.
func degrees(file string) (float64, bool) {
	raw, err := strconv.ParseFloat(word(file), 64)
	c := raw
	if !(math.Abs(raw) <= 200) {
		c = math.Round(raw/100) / 10
	}
	unclear := raw == 0 || math.Abs(raw) > 200 && math.Abs(raw) < 1000
	return c, err == nil && !unclear && isPlausible("cpu.celsius", c)
}
