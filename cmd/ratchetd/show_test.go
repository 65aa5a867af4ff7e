package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/local"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/telemetry"
)

func TestStatusFitsOnOneScreen(t *testing.T) {
	half, warm := 48.0, 61.0
	berlin := time.FixedZone("", 3600)
	now := time.Date(2026, 11, 24, 4, 12, 0, 0, berlin)
	s := local.Status{
		Device: "gw-7", Agent: "1.2.0", Uptime: 90061,
		Link:    local.LinkStatus{Broker: "tls://broker:8883", Connected: true, For: 3600},
		Journal: local.JournalStatus{Used: 300 << 10, Bound: 1 << 20},
		Clock:   clock.Status{Sane: true, Why: "synchronised", Now: now},
		Health: &telemetry.Sample{CPU: &telemetry.CPU{Percent: &half, Cores: 4, Celsius: &warm}, Load: &telemetry.Load{M1: 0.5},
			Memory: &telemetry.Memory{Total: 128e6, Percent: &half}, Disk: []telemetry.Disk{{Path: "/", Total: 16e6, Percent: &half}}},
		Alerts: []dialect.Alert{{Name: "hot", Severity: "critical", Rule: ".cpu.celsius > 60", Value: json.RawMessage("61"), Since: executor.Time{Time: now.UTC()}}},
		Schedules: []local.ScheduleStatus{{Name: "again", Next: now.Add(time.Hour)},
			{Name: "backup", Next: now.Add(23 * time.Hour), Last: "backup@20261124T020000Z", Was: executor.Succeeded},
			{Name: "late", Why: "the clock is not set yet"}},
		Jobs: []dialect.JobStatus{{Job: "again", State: executor.Waiting},
			{Job: "fw-2", State: executor.Running, Step: &dialect.CurrentStep{Index: 1, Of: 3, Name: "image", Progress: 0.42}}},
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := showStatus(&out, text); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, strings.TrimRight(line, " \n"))
	}
	want := `device    gw-7                        ratchetd 1.2.0, up 25h1m1s
link      tls://broker:8883           connected for 1h0m0s
journal   [###.......]                300 of 1024 KiB used
clock     2026-11-24 04:12:00 +01:00  sane: synchronised
cpu       [#####.....]                48 % on 4 cores, load 0.50, 61 degrees C
memory    [#####.....]                48 % of 128 MB
disk      [#####.....]                48 % of 16 MB, /
alert     hot                         critical: .cpu.celsius > 60: 61, since 2026-11-24T03:12:00Z
schedule  again                       next at 2026-11-24 05:12:00 +01:00
schedule  backup                      next at 2026-11-25 03:12:00 +01:00; backup@20261124T020000Z succeeded
schedule  late                        the clock is not set yet
job       fw-2                        running step 2 of 3, image, 42 %
          [####......]                42 %`
	if got := strings.Join(got, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
