package dialect

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/ratchetd/ratchet/telemetry"
)

// Metrics is one report for Device Defender: what its service knows by name,
// and numbers that the account must have declared as custom metrics.
type Metrics struct {
	ID      int64              // must rise
	Traffic *telemetry.Traffic // since the last report that was accepted
	Sockets telemetry.Sockets
	Numbers map[string]float64
}

// Defended is Device Defender's answer to a report.
type Defended struct {
	ID  int64
	Err error
}

// maxListed bounds each list of a report; the totals count all.
const maxListed = 50

// MarshalJSON implements json.Marshaler: the report with the long names.
func (m Metrics) MarshalJSON() ([]byte, error) {
	metrics := map[string]any{
		"listening_tcp_ports": awsPorts(m.Sockets.TCP), "listening_udp_ports": awsPorts(m.Sockets.UDP),
		"tcp_connections": map[string]any{"established_connections": awsConnections(m.Sockets.Established)},
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
	return json.Marshal(report)
}

func awsPorts(sockets []telemetry.Socket) map[string]any {
	ports := []map[string]any{}
	for _, s := range sockets[:min(len(sockets), maxListed)] {
		ports = append(ports, withInterface(map[string]any{"port": s.Port}, "interface", s))
	}
	return map[string]any{"ports": ports, "total": len(sockets)}
}

func awsConnections(sockets []telemetry.Socket) map[string]any {
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

func (d AWS) receiveDefender(m Message) []Event {
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
		return []Event{Defended{ID: a.ReportID}}
	case "rejected":
		return []Event{Defended{ID: a.ReportID, Err: errors.New(strings.TrimSpace(a.Details.Code + ": " + a.Details.Message))}}
	}
	return nil
}
