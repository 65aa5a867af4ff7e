package dialect

import (
	"encoding/json"
	"errors"
	"strings"
)

// Metrics is one report for Device Defender: what its service knows by name,
// and numbers that the account must have declared as custom metrics.
type Metrics struct {
	ID      int64 // must rise
	Traffic *Traffic
	TCP     []Port
	UDP     []Port
	Open    []Established
	Numbers map[string]float64
}

// Traffic is what went over the network since the last report that was accepted.
type Traffic struct {
	BytesIn    uint64 `json:"bytes_in"`
	BytesOut   uint64 `json:"bytes_out"`
	PacketsIn  uint64 `json:"packets_in"`
	PacketsOut uint64 `json:"packets_out"`
}

// Port is one at which the device listens.
type Port struct {
	Interface string `json:"interface,omitempty"`
	Port      int    `json:"port"`
}

// Established is one TCP connection.
type Established struct {
	Interface string `json:"local_interface,omitempty"`
	Port      int    `json:"local_port"`
	Remote    string `json:"remote_addr"`
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
		"listening_tcp_ports": map[string]any{"ports": listed(m.TCP), "total": len(m.TCP)},
		"listening_udp_ports": map[string]any{"ports": listed(m.UDP), "total": len(m.UDP)},
		"tcp_connections": map[string]any{"established_connections": map[string]any{
			"connections": listed(m.Open), "total": len(m.Open)}},
	}
	if m.Traffic != nil {
		metrics["network_stats"] = m.Traffic
	}
	report := map[string]any{"header": map[string]any{"report_id": m.ID, "version": "1.0"}, "metrics": metrics}
	custom := map[string]any{}
	for name, n := range m.Numbers {
		custom[name] = []map[string]float64{{"number": n}}
	}
	if len(custom) > 0 {
		report["custom_metrics"] = custom
	}
	return json.Marshal(report)
}

func listed[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list[:min(len(list), maxListed)]
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
