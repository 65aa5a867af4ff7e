package agent

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/scripts/fakeaws/jobs"
	"github.com/ratchetd/ratchet/telemetry"
)

func TestDeviceDefenderGetsTrafficOnceAndCustomMetrics(t *testing.T) {
	var service movable
	s, d := newAWS(t, "[aws]\ndefender = \"5m\"\nmetrics = [\"cpu_usage\", \"memory_usage\", \"uptime\"]\n", func(s *jobs.Service) { s.Now = service.now })
	d.start()
	await(t, "it is connected, and has felt the board", func() bool { return d.link.Settled() && d.health.Last() != nil })
	report := func() {
		t.Helper()
		if err := d.health.SendReport(); err != nil {
			t.Fatal(err)
		}
	}
	report()
	await(t, "the first is accepted", func() bool { return len(s.Reports("gw-1")) == 1 })
	await(t, "it is known here", func() bool {
		sent, accepted, _ := d.health.Accounted()
		return accepted == sent
	})
	_, before, _ := d.health.Accounted()
	report() // too soon: what it holds is in the next one
	await(t, "the second is refused", func() bool {
		_, _, why := d.health.Accounted()
		return why != ""
	})
	service.move(6 * time.Minute)
	report()
	await(t, "the third is accepted", func() bool { return len(s.Reports("gw-1")) == 2 })
	sent, _, _ := d.health.Accounted()
	want := sent.Since(before)
	var got telemetry.Traffic
	r := s.Reports("gw-1")[1]
	names := map[string]*uint64{"bytes_in": &got.BytesIn, "bytes_out": &got.BytesOut, "packets_in": &got.PacketsIn, "packets_out": &got.PacketsOut}
	var told map[string]uint64
	if err := json.Unmarshal(r.Metrics["network_stats"], &told); err != nil {
		t.Fatal(err)
	}
	for name, to := range names {
		*to = told[name]
	}
	if got != want {
		t.Errorf("got %+v, want %+v: all since the last that was accepted", got, want)
	}
	if n := r.Custom["memory_usage"]; len(n) != 1 || n[0].Number == nil || *n[0].Number <= 0 {
		t.Errorf("got %+v, want the memory in use", r.Custom)
	}
	for _, name := range []string{"listening_tcp_ports", "listening_udp_ports", "tcp_connections"} {
		if len(r.Metrics[name]) == 0 {
			t.Errorf("got no %s in %v", name, r.Metrics)
		}
	}
}
