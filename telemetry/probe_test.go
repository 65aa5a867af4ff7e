package telemetry

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestProbesOfTheBoardGiveFiguresWithTheirUnits(t *testing.T) {
	pc := board("testdata/pc")
	for name, c := range map[string]struct {
		probe func() (Reading, error)
		value float64
		unit  string
	}{
		"memory":      {func() (Reading, error) { return Prober{}.Memory(pc) }, 25, "%"},
		"load":        {func() (Reading, error) { return Prober{}.Load(pc) }, 1.5, ""},
		"temperature": {func() (Reading, error) { return Prober{}.Temperature(pc) }, 47, "°C"},
	} {
		got, err := c.probe()
		if err != nil || got.Value == nil || *got.Value != c.value || got.Unit != c.unit {
			t.Errorf("%s: got %+v, %v, want %v%s", name, got, err, c.value, c.unit)
		}
	}
}

func TestDiskProbeReportsPercentAndFreeBytes(t *testing.T) {
	got, err := Prober{}.Disk(context.Background(), t.TempDir())
	if err != nil || got.Value == nil || *got.Value < 0 || *got.Value > 100 || !strings.HasSuffix(got.Detail, " bytes free") {
		t.Errorf("got %+v, %v, want percent used and the bytes that are free", got, err)
	}
}

func TestWhatAProbeNeedsAndDoesNotFindIsUnknown(t *testing.T) {
	bare, ctx := t.TempDir(), context.Background()
	for name, probe := range map[string]func() (Reading, error){
		"disk":        func() (Reading, error) { return Prober{}.Disk(ctx, filepath.Join(bare, "none")) },
		"memory":      func() (Reading, error) { return Prober{}.Memory(board(bare)) },
		"temperature": func() (Reading, error) { return Prober{}.Temperature(board("testdata/router")) },
		"process":     func() (Reading, error) { return Prober{}.Process(board(bare), "init") },
	} {
		if got, err := probe(); !errors.As(err, new(Unknown)) {
			t.Errorf("%s: got %+v, %v, want an Unknown", name, got, err)
		}
	}
}

func TestFileIsThereOrNot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "flag")
	if _, err := (Prober{}).File(t.Context(), path); err == nil || errors.As(err, new(Unknown)) {
		t.Errorf("absent: got %v, want a failure", err)
	}
	write(t, "", path)
	if _, err := (Prober{}).File(t.Context(), path); err != nil {
		t.Errorf("there: got %v, want nil", err)
	}
}

func TestLinkIsUpWhenTheKernelSaysSo(t *testing.T) {
	ctx, dir := copyOf(t, "testdata/pc")
	if _, err := (Prober{}).Link(ctx, "eth0"); err != nil {
		t.Errorf("eth0: got %v, want it up", err)
	}
	write(t, "down\n", dir, "sys/class/net/eth0/operstate")
	for name, want := range map[string]string{"eth0": "eth0 is down", "wwan7": "there is no interface wwan7"} {
		if _, err := (Prober{}).Link(ctx, name); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
}

func TestLoopbackHasItsOwnAddress(t *testing.T) {
	needInterfaces(t)
	got, err := Prober{}.Address("lo")
	if len(addresses("lo")) == 0 {
		if err == nil {
			t.Errorf("lo: got %q, want no address", got.Detail)
		}
	} else if err != nil || !strings.Contains(got.Detail, addresses("lo")[0].String()) {
		t.Errorf("lo: got %q, %v, want %s", got.Detail, err, addresses("lo")[0])
	}
	if _, err = (Prober{}).Address("none0"); err == nil || err.Error() != "there is no interface none0" {
		t.Errorf("none0: got %v, want no interface", err)
	}
}

func TestProcessIsFoundByNameWhileItRuns(t *testing.T) {
	name := "a-name-of-more-than-fifteen-bytes"
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip("there is no program sleep")
	}
	cmd := &exec.Cmd{Path: sleep, Args: []string{"/opt/" + name, "60"}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	got, err := Prober{}.Process(t.Context(), name)
	if err != nil || *got.Value != 1 {
		t.Errorf("running: got %+v, %v, want 1 process", got, err)
	}
	_ = cmd.Process.Kill()
	for dir := filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid)); !strings.Contains(word(dir, "stat"), ") Z"); {
		time.Sleep(time.Millisecond)
	}
	if got, err := (Prober{}).Process(t.Context(), name); err == nil {
		t.Errorf("a zombie: got %+v, want no process", got)
	}
	_ = cmd.Wait()
}
