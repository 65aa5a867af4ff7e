package aws

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/telemetry"
)

// maxListed bounds each list of a report; the totals count all.
const maxListed = 50

// metricsReport is the report with the long names.
func metricsReport(m dialect.Metrics) map[string]any {
	metrics := map[string]any{
		"listening_tcp_ports": listening(m.Sockets.TCP), "listening_udp_ports": listening(m.Sockets.UDP),
		"tcp_connections": map[string]any{"established_connections": established(m.Sockets.Established)},
	}
	if t := m.Traffic; t != nil {
		metrics["network_stats"] = map[string]uint64{"bytes_in": t.BytesIn, "bytes_out": t.BytesOut, "packets_in": t.PacketsIn, "packets_out": t.PacketsOut}
	}
	report := map[string]any{"header": map[string]any{"report_id": m.ID, "version": "1.0"}, "metrics": metrics}
	if len(m.Numbers) > 0 {
		custom := map[string]any{}
		for name, n := range m.Numbers {
			custom[name] = []map[string]float64{{"number": n}}
		}
		report["custom_metrics"] = custom
	}
	return report
}

func listening(sockets []telemetry.Socket) map[string]any {
	ports := []map[string]any{}
	for _, s := range sockets[:min(len(sockets), maxListed)] {
		ports = append(ports, withInterface(map[string]any{"port": s.Port}, "interface", s))
	}
	return map[string]any{"ports": ports, "total": len(sockets)}
}

func established(sockets []telemetry.Socket) map[string]any {
	list := []map[string]any{}
	for _, s := range sockets[:min(len(sockets), maxListed)] {
		list = append(list, withInterface(map[string]any{"local_port": s.Port, "remote_addr": s.Remote}, "local_interface", s))
	}
	return map[string]any{"connections": list, "total": len(sockets)}
}

// withInterface adds the interface, where there is one.
func withInterface(m map[string]any, as string, s telemetry.Socket) map[string]any {
	if s.Interface != "" {
		m[as] = s.Interface
	}
	return m
}

func (d Dialect) receiveDefender(m dialect.Message) []dialect.Event {
	reply, ok := strings.CutPrefix(m.Topic, d.things("defender/metrics/json/"))
	var a struct {
		ReportID int64 `json:"reportId"`
		Details  struct {
			Code    string `json:"ErrorCode"`
			Message string `json:"ErrorMessage"`
		} `json:"statusDetails"`
	}
	if !ok || json.Unmarshal(m.Payload, &a) != nil {
		return nil
	}
	switch reply {
	case "accepted":
		return []dialect.Event{dialect.Defended{ID: a.ReportID}}
	case "rejected":
		return []dialect.Event{dialect.Defended{ID: a.ReportID, Err: errors.New(strings.TrimSpace(a.Details.Code + ": " + a.Details.Message))}}
	}
	return nil
}
