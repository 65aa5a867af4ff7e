package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestSampleHasTheFieldsOfTheContract checks names and units by the text that
// goes over the wire. The disk is the test machine's own, so it is checked elsewhere.
func TestSampleHasTheFieldsOfTheContract(t *testing.T) {
	stat := "cpu  0\ncpu0 100 5 75 430 30 0 0 0 0 0\ncpu1 50 5 25 410 20 0 0 0 0 0\nintr 1\n"
	sample := secondSample(t, "testdata/pc", stat, "eth0: 1000", "eth0: 21000")
	sample.Disk = []Disk{{Path: "/", Total: 100, Free: 25, Percent: percent(75, 100)}}
	sample.Broker = &Broker{ConnectedFor: 60, RTTMillis: 12}
	expect(t, sample, `{"device":"gw-7","time":"2000-01-01T00:00:10Z","uptime":86400,`+
		`"cpu":{"percent":66.7,"cores":2,"celsius":47,"perCore":[71.4,0],"iowait":6.7},`+
		`"load":{"m1":1.5,"m5":1.25,"m15":1},`+
		`"memory":{"total":8192000000,"available":6144000000,"percent":25},`+
		`"disk":[{"path":"/","total":100,"free":25,"percent":75}],`+
		`"network":[{"name":"eth0","up":true,"rxBytes":21000,"txBytes":3000,"rxErrors":0,"txErrors":0,"rxRate":2000,"txRate":0},`+
		`{"name":"ppp0","up":true,"rxBytes":77,"txBytes":88,"rxErrors":0,"txErrors":0,"rxRate":0,"txRate":0}],`+
		`"broker":{"connectedFor":60,"rttMillis":12},`+
		`"processes":{"count":0},`+
		`"agent":{"rss":2500,"flashWritten":40960}}`)
}

func TestABoardReportsItsFlashItsRadioAndNoSensor(t *testing.T) {
	stat := "cpu  0\ncpu0 200 0 50 850 0 0 0 0 0 0\ncpu1 100 0 50 950 0 0 0 0 0 0\n"
	expect(t, secondSample(t, "testdata/board", stat, "wlan0: 9000", "wlan0: 9010"),
		`{"device":"gw-7","time":"2000-01-01T00:00:10Z","uptime":30,"cpu":{"percent":0,"cores":2,"perCore":[0,0]},`+
			`"load":{"m1":0.1,"m5":0.2,"m15":0.3},"memory":{"total":512000000,"available":409600000,"percent":20},`+
			`"flash":[{"name":"mmcblk0","wearPercent":20}],`+
			`"network":[{"name":"wlan0","up":true,"rxBytes":9010,"txBytes":4000,"rxErrors":0,"txErrors":0,"rxRate":1,"txRate":0,"rxDrops":3,"txDrops":1,"signalDBm":-56}],`+
			`"processes":{"count":0},"agent":{"rss":2000,"flashWritten":0}}`)
}

func TestAServerReportsPressureSwapAndThrottling(t *testing.T) {
	core := "100 0 100 800 50 0 0 50 0 0\n"
	stat := "cpu  0\ncpu0 " + core + "cpu1 " + core + "cpu2 " + core + "cpu3 " + core
	expect(t, secondSample(t, "testdata/server", stat, "", ""),
		`{"device":"gw-7","time":"2000-01-01T00:00:10Z","uptime":864000,`+
			`"cpu":{"percent":50,"cores":4,"celsius":61,"perCore":[50,50,50,50],"steal":50,"throttled":true},`+
			`"load":{"m1":3.5,"m5":2,"m15":1},"pressure":{"cpu":2.5,"memory":0,"io":12.75},`+
			`"memory":{"total":65536000000,"available":49152000000,"percent":25,"swapTotal":4096000000,"swapFree":3072000000},`+
			`"network":[{"name":"eno1","up":true,"rxBytes":9000,"txBytes":4000,"rxErrors":0,"txErrors":0,"rxRate":0,"txRate":0,"speedMbit":1000}],`+
			`"processes":{"count":0},"agent":{"rss":2500,"flashWritten":8192}}`)
}

// secondSample is one ten seconds after the first, when /proc/stat holds stat
// and what stood in /proc/net/dev is something else.
func secondSample(t *testing.T, board, stat, was, is string) Sample {
	ctx, dir := copyOf(t, board)
	var sample Sample
	synctest.Test(t, func(t *testing.T) {
		s := Sampler{Device: "gw-7"}
		s.Sample(ctx)
		time.Sleep(10 * time.Second)
		write(t, stat, dir, "proc/stat")
		dev, err := os.ReadFile(filepath.Join(dir, "proc/net/dev"))
		if err != nil {
			t.Fatal(err)
		}
		write(t, strings.Replace(string(dev), was, is, 1), dir, "proc/net/dev")
		sample = s.Sample(ctx)
	})
	return sample
}

// expect compares what goes over the wire, without what is this machine's own:
// its disks, its processor time and the size of its pages.
func expect(t *testing.T, sample Sample, want string) {
	t.Helper()
	if sample.Disk != nil && sample.Disk[0].Total != 100 {
		sample.Disk = nil
	}
	sample.Agent.CPUMillis = 0
	sample.Agent.RSS /= uint64(os.Getpagesize())
	got, err := json.Marshal(sample)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestRouterWithoutSensorsIsSampledWithoutThem(t *testing.T) {
	var log bytes.Buffer
	s := Sampler{Device: "r1", Log: slog.New(slog.NewTextHandler(&log, nil))}
	got := s.Sample(board("testdata/router"))
	if got.CPU == nil || got.CPU.Celsius != nil || got.CPU.Percent != nil || got.CPU.Cores != 1 {
		t.Errorf("cpu: got %+v, want one core, no percent yet and no temperature", got.CPU)
	}
	if got.Agent == nil || got.Agent.FlashWritten != nil {
		t.Errorf("agent: got %+v, want no flashWritten from a kernel that does not count", got.Agent)
	}
	if got.Conntrack == nil || got.Conntrack.Used != 812 || *got.Conntrack.Percent != 5 {
		t.Errorf("conntrack: got %+v, want 812 of 16384", got.Conntrack)
	}
	if got.Uptime != 95 || got.Memory.Available != 15000<<10 || *got.Memory.Percent != 75 {
		t.Errorf("got uptime %d, memory %+v; want 95, 15000 KiB, 75 percent", got.Uptime, got.Memory)
	}
	if log.Len() > 0 {
		t.Errorf("log: got %s, want nothing: all this is normal", &log)
	}
}

func TestFailedCollectorIsLeftOutAndNamedOnce(t *testing.T) {
	ctx, dir := copyOf(t, "testdata/router")
	for _, file := range []string{"stat", "net/dev", "meminfo", "uptime", "self/mountinfo", "self/statm"} {
		if err := os.Remove(filepath.Join(dir, "proc", file)); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	s := Sampler{Device: "r1", Log: slog.New(slog.NewTextHandler(&log, nil))}
	s.Sample(ctx)
	got := s.Sample(ctx)
	got.Time, got.Processes.Top = time.Time{}, nil
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"device":"r1","load":{"m1":0.25,"m5":0.1,"m15":0.05},"conntrack":{"used":812,"max":16384,"percent":5},"processes":{"count":5}}`; string(text) != want {
		t.Errorf("got %s, want %s", text, want)
	}
	for _, name := range []string{"uptime", "cpu", "memory", "disk", "network", "agent"} {
		if n := strings.Count(log.String(), "without "+name+`"`); n != 1 {
			t.Errorf("%s: named %d times in the log, want once", name, n)
		}
	}
}

func TestThisMachineCanBeSampled(t *testing.T) {
	var log bytes.Buffer
	s := Sampler{Log: slog.New(slog.NewTextHandler(&log, nil))}
	got := s.Sample(context.Background())
	if log.Len() > 0 || got.CPU == nil || got.Load == nil || got.Memory == nil || got.Agent == nil || got.Uptime == 0 {
		t.Errorf("got %+v and log %q, want every collector to work here", got, &log)
	}
}

func BenchmarkSample(b *testing.B) {
	s := Sampler{Device: "gw-7"}
	b.ReportAllocs()
	for b.Loop() {
		s.Sample(context.Background())
	}
}

func BenchmarkSampleOfRouter(b *testing.B) {
	s := Sampler{Device: "gw-7"}
	ctx := board("testdata/router")
	b.ReportAllocs()
	for b.Loop() {
		s.Sample(ctx)
	}
}
