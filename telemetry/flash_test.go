package telemetry

import (
	"encoding/json"
	"testing"
)

func TestFlashReportsItsWear(t *testing.T) {
	dir := t.TempDir()
	for file, text := range map[string]string{
		"block/mmcblk0/device/life_time":      "0x02 0x0b",
		"block/mmcblk0/device/pre_eol_info":   "0x03",
		"block/mmcblk0boot0/device/life_time": "0x02 0x0b",
		"block/mmcblk1/device/life_time":      "0x00 0x00",
		"block/sda/device/vendor":             "ATA",
		"class/ubi/ubi0/max_ec":               "1234",
		"class/ubi/ubi0/bad_peb_count":        "2",
		"class/ubi/ubi0_0/name":               "rootfs",
		"class/ubi/version":                   "1",
	} {
		write(t, text+"\n", dir, "sys", file)
	}
	got, err := json.Marshal(sampleFlash(treeOf(board(dir))))
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"name":"mmcblk0","wearPercent":110,"preEOL":"urgent"},{"name":"ubi0","maxErases":1234,"badBlocks":2}]`
	if string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSlowdownOfTheProcessorIsSeen(t *testing.T) {
	for _, c := range []struct {
		files map[string]string
		want  bool
	}{
		{nil, false},
		{map[string]string{"class/thermal/cooling_device0/type": "gpio-fan", "class/thermal/cooling_device0/cur_state": "1"}, false},
		{map[string]string{"class/thermal/cooling_device0/type": "thermal-cpufreq-0", "class/thermal/cooling_device0/cur_state": "0"}, false},
		{map[string]string{"class/thermal/cooling_device0/type": "thermal-cpufreq-0", "class/thermal/cooling_device0/cur_state": "1"}, true},
		{map[string]string{"devices/platform/soc/soc:firmware/get_throttled": "50000"}, false}, // it was, and is no more
		{map[string]string{"devices/platform/soc/soc:firmware/get_throttled": "50005"}, true},
	} {
		dir := t.TempDir()
		for file, text := range c.files {
			write(t, text+"\n", dir, "sys", file)
		}
		if got := throttled(treeOf(board(dir))); got != c.want {
			t.Errorf("%v: got %v, want %v", c.files, got, c.want)
		}
	}
}

func TestWhyABootEndedIsReadFromWhatKeptANote(t *testing.T) {
	for _, c := range []struct{ file, text, want string }{
		{"class/watchdog/watchdog0/bootstatus", "0", "cut"},
		{"class/watchdog/watchdog0/bootstatus", "32", "watchdog"},
		{"fs/pstore/dmesg-ramoops-0", "Oops", "panic"},
	} {
		dir := t.TempDir()
		write(t, c.text+"\n", dir, "sys", c.file)
		if got := resetReason(treeOf(board(dir))); got != c.want {
			t.Errorf("%s %s: got %s, want %s", c.file, c.text, got, c.want)
		}
	}
}
