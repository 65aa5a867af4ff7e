package telemetry

import "testing"

func TestProcessorsSensorIsPreferredAndBrokenOnesAreIgnored(t *testing.T) {
	dir := t.TempDir()
	read := func() *float64 { return celsius(treeOf(board(dir))) }
	if got := read(); got != nil {
		t.Errorf("got %v without a sensor, want none", *got)
	}
	for _, c := range []struct {
		label, text, value, milli string
		want                      float64
	}{
		{"class/thermal/thermal_zone0/type", "acpitz", "class/thermal/thermal_zone0/temp", "30000", 30},
		{"class/hwmon/hwmon0/name", "ath10k_hwmon", "class/hwmon/hwmon0/temp1_input", "70000", 30},
		{"class/hwmon/hwmon1/name", "k10temp", "class/hwmon/hwmon1/temp1_input", "51250", 51.3},
		{"class/thermal/thermal_zone1/type", "cpu-thermal", "class/thermal/thermal_zone1/temp", "-274000", 51.3},
		{"class/thermal/thermal_zone2/type", "soc_thermal", "class/thermal/thermal_zone2/temp", "-5000", -5},
		{"class/thermal/thermal_zone3/type", "cpu1-thermal", "class/thermal/thermal_zone3/temp", "44000", 44},
	} {
		write(t, c.text+"\n", dir, "sys", c.label)
		write(t, c.milli+"\n", dir, "sys", c.value)
		if got := read(); got == nil || *got != c.want {
			t.Errorf("with %s: got %v, want %v", c.text, got, c.want)
		}
	}
}
