package telemetry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ratchetd/ratchet/telemetry/look"
)

// emptied are the files that a sample of the fixture reads.
var emptied = []string{"proc/loadavg", "proc/stat", "proc/net/dev", "proc/meminfo", "proc/uptime", "proc/self/statm", "proc/self/mountinfo",
	"proc/self/io", "proc/net/wireless", "proc/sys/net/netfilter/nf_conntrack_count", "proc/sys/net/netfilter/nf_conntrack_max", "proc/pressure/cpu"}

// garbage is what such a file may hold on a board that is not well.
var garbage = map[string]string{
	"empty":       "",
	"a newline":   "\n",
	"zeros":       strings.Repeat("\x00", 512),
	"one word":    "odd\n",
	"short lines": "odd: 1\ncpu0\ncpu0 x y\na b\n: :\n",
	"odd figures": "-1 NaN 99999999999999999999 +Inf\n",
}

// A board of which one file is odd has a sample without what is read of that one,
// and with all the rest.
func TestAnOddFileCostsOnlyItsCollector(t *testing.T) {
	for what, text := range garbage {
		for _, file := range emptied {
			ctx, dir := copyOf(t, "testdata/router")
			before := parts(t, (&Sampler{}).Sample(ctx))
			write(t, text, dir, file)
			var log bytes.Buffer
			s := Sampler{Log: slog.New(slog.NewTextHandler(&log, nil))}
			s.Sample(ctx)
			after := parts(t, s.Sample(ctx))
			lost := 0
			for name := range before {
				if _, ok := after[name]; !ok {
					lost++
				}
			}
			if named := strings.Count(log.String(), "health is reported without"); lost > 1 || named > 1 {
				t.Errorf("%s in %s: %d parts are lost and %d named: %s", what, file, lost, named, &log)
			}
		}
	}
}

// parts is what a sample has, by name.
func parts(t *testing.T, s Sample) (p map[string]json.RawMessage) {
	t.Helper()
	text, err := json.Marshal(s)
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err != nil {
		t.Fatal(err)
	}
	delete(p, "disk") // this machine's
	return p
}

func TestACollectorThatPanicsIsNamedOnceAndSaid(t *testing.T) {
	var log bytes.Buffer
	s := Sampler{Log: slog.New(slog.NewTextHandler(&log, nil))}
	odd := func() (*Load, error) { panic("no fields") }
	synctest.Test(t, func(t *testing.T) {
		for range 3 {
			if got := collect(&s, "load", odd); got != nil {
				t.Errorf("got %v", got)
			}
		}
		if got := s.Failing(); !strings.Contains(got, "load") || !strings.Contains(got, "no fields") {
			t.Errorf("got %q", got)
		}
		if n := strings.Count(log.String(), "without load"); n != 1 {
			t.Errorf("named %d times: %s", n, &log)
		}
		time.Sleep(2 * slowEvery)
		if got := s.Failing(); got != "" {
			t.Errorf("got %q of what fails no more", got)
		}
	})
}

// TestAFigureThatNoBoardHasIsDoubted checks each row of the table in README.md:
// what is read, and what the sample has then.
func TestAFigureThatNoBoardHasIsDoubted(t *testing.T) {
	meminfo := "MemTotal: 100000 kB\nMemFree: 20000 kB\nMemAvailable: %s\nBuffers: 1000 kB\nCached: 9000 kB\nShmem: 5000 kB\nSwapTotal: 1000 kB\nSwapFree: %s\n"
	memory := func(available, swap string) string { return fmt.Sprintf(meminfo, available, swap) }
	const good, estimated = `{"total":102400000,"available":51200000,"percent":50,"swapTotal":1024000,"swapFree":512000}`,
		`{"total":102400000,"available":25600000,"percent":75,"swapTotal":1024000,"swapFree":512000}`
	for _, c := range []struct{ file, text, part, want string }{
		{"proc/uptime", "-5.00 1.0", "uptime", ""},
		{"proc/uptime", "1844674407370.00 1.0", "uptime", ""},
		{"proc/loadavg", "NaN 0.1 0.1 1/50 100", "load", ""},
		{"proc/loadavg", "-1 0.1 0.1 1/50 100", "load", ""},
		{"proc/loadavg", "65535.99 0.1 0.1 1/50 100", "load", `{"m1":65535.99,"m5":0.1,"m15":0.1}`},
		{"proc/meminfo", memory("50000 kB", "500 kB"), "memory", good},
		{"proc/meminfo", memory("0 kB", "500 kB"), "memory", estimated},
		{"proc/meminfo", memory("18446744073709551612 kB", "500 kB"), "memory", estimated},
		{"proc/meminfo", memory("4294967292 kB", "500 kB"), "memory", estimated},
		{"proc/meminfo", memory("50000 kB", "2000 kB"), "memory", `{"total":102400000,"available":51200000,"percent":50}`},
		{"proc/meminfo", "MemTotal: 100000 kB\nMemFree: 900000 kB\nMemAvailable: 0 kB\n", "memory", ""},
		{"proc/meminfo", "MemTotal: 100000 kB\nMemFree: 0 kB\nMemAvailable: 0 kB\n", "memory", ""},
		{"proc/meminfo", "MemTotal: 1 kB\nMemFree: 1 kB\nMemAvailable: 1 kB\n", "memory", ""},
		{"proc/pressure/cpu", "some avg10=0 avg60=NaN avg300=0 total=1", "pressure", ""},
		{"proc/pressure/cpu", "some avg10=0 avg60=655.3 avg300=0 total=1", "pressure", ""},
		{"proc/sys/net/netfilter/nf_conntrack_count", "4294967295", "conntrack", ""},
		{"proc/sys/net/netfilter/nf_conntrack_count", "-3", "conntrack", ""},
		{"proc/self/statm", "100 18446744073709551 1", "agent", ""},
		{"sys/block/mmcblk0/device/life_time", "0xff 0xff", "flash", ""},
		{"sys/block/mmcblk0/device/life_time", "0xff 0x03", "flash", `[{"name":"mmcblk0","wearPercent":30}]`},
		{"sys/class/ubi/ubi0/max_ec", "18446744073709551615", "flash", ""},
	} {
		ctx, dir := copyOf(t, "testdata/router")
		write(t, "some avg10=0 avg60=0 avg300=0 total=1", dir, "proc/pressure/memory")
		write(t, "some avg10=0 avg60=0 avg300=0 total=1", dir, "proc/pressure/io")
		write(t, c.text+"\n", dir, c.file)
		if got := string(parts(t, (&Sampler{}).Sample(ctx))[c.part]); got != c.want {
			t.Errorf("%s %q: got %s, want %s", c.file, c.text, got, c.want)
		}
	}
}

func TestAProcessorIsNoColderThanItsBoardCanBe(t *testing.T) {
	for text, want := range map[string]string{
		"47000": "47", "-5000": "-5", "1500": "1.5",
		"47":      "47", // degrees, as some drivers give them
		"-12":     "-12",
		"0":       "none", // a sensor that is switched off
		"470":     "none", // tenths, or a CPU at half a degree: nobody knows
		"-274000": "none", "151000": "none", "160": "none", "-61": "none", "NaN": "none", "": "none",
	} {
		dir := t.TempDir()
		write(t, "cpu-thermal\n", dir, "sys/class/thermal/thermal_zone0/type")
		write(t, text+"\n", dir, "sys/class/thermal/thermal_zone0/temp")
		got := "none"
		if c := celsius(treeOf(board(dir))); c != nil {
			got = fmt.Sprint(*c)
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
		write(t, "soc\n", dir, "sys/class/thermal/thermal_zone1/type")
		write(t, "30000\n", dir, "sys/class/thermal/thermal_zone1/temp")
		if c := celsius(treeOf(board(dir))); c == nil || want == "none" && *c != 30 {
			t.Errorf("%q beside a sensor that works: got %v", text, c)
		}
	}
}

// The counters of a core that ran backwards say nothing about it.
func TestCountersThatRunBackwardsGiveNoPercent(t *testing.T) {
	for _, c := range []struct{ stat, want string }{
		{"cpu  0\ncpu0 190 0 140 800 0 0 0 0 0 0\n", `"percent":30.2`},
		{"cpu  0\ncpu0 10 0 10 1800 0 0 0 0 0 0\n", ""},
		{"cpu  0\ncpu0 18446744073709551 0 100 700 0 0 0 0 0 0\n", ""},
	} {
		ctx, dir := copyOf(t, "testdata/router")
		synctest.Test(t, func(t *testing.T) {
			write(t, "cpu  0\ncpu0 100 0 100 500 0 0 0 0 0 0\n", dir, "proc/stat")
			s := Sampler{}
			s.Sample(ctx)
			time.Sleep(10 * time.Second)
			write(t, c.stat, dir, "proc/stat")
			got := string(parts(t, s.Sample(ctx))["cpu"])
			if !strings.Contains(got, c.want) || c.want == "" && strings.Contains(got, `"percent"`) {
				t.Errorf("%q: got %s, want %s", c.stat, got, c.want)
			}
		})
	}
}

// Some file systems wrap what they count below zero.
func TestADiskHasNoMoreRoomThanItsSize(t *testing.T) {
	const most = 1<<64 - 4096
	for _, c := range []struct {
		answer look.Answer
		want   string
	}{
		{look.Answer{Total: 1000, Free: 600, Used: 300, Inodes: 10, InodesFree: 5}, `{"path":"/","total":1000,"free":600,"percent":33.3,"inodesPercent":50}`},
		{look.Answer{Total: 1000, Free: 600, Used: 300, Inodes: 10, InodesFree: 11}, `{"path":"/","total":1000,"free":600,"percent":33.3}`},
		{look.Answer{Total: 1000, Free: most, Used: 300}, "null"},
		{look.Answer{Total: 1000, Free: 600, Used: most}, "null"},
		{look.Answer{}, "null"},
	} {
		if got, err := json.Marshal(newDisk("/", c.answer)); err != nil || string(got) != c.want {
			t.Errorf("%+v: got %s, %v, want %s", c.answer, got, err, c.want)
		}
	}
}

func TestANetworkIsNotFasterThanItsHardware(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]uint64{"1000": 1000, "-1": 0, "65535": 0, "4294967295": 0, "": 0} {
		write(t, text+"\n", dir, "sys/class/net/eth0/speed")
		if got := speedMbit(treeOf(board(dir)), "eth0"); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
	if got := rate(0, 1<<60, 10); got != nil {
		t.Errorf("got %v bytes per second", *got)
	}
	write(t, "Inter-|\n face |\n eth0: 5 1 0 0 0 0 0 0 6 1 0 0 0 0 0 0\n eth1: 7\nodd\n: 1\n", dir, "proc/net/dev")
	got, err := readDevices(treeOf(board(dir)))
	if err != nil || len(got) != 1 || got[0].name != "eth0" || got[0].counters[rxBytes] != 5 || got[0].counters[txBytes] != 6 {
		t.Errorf("got %v, %v; want the one line that can be read", got, err)
	}
}

// TestTheTableOfWhatIsPlausibleIsInTheREADME keeps the two of them together.
func TestTheTableOfWhatIsPlausibleIsInTheREADME(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range plausible {
		if row := fmt.Sprintf("| `%s` | %v | %v |", name, b.least, b.most); !strings.Contains(string(text), row) {
			t.Errorf("README.md has no row that begins with %s", row)
		}
	}
}
