package jobs

import (
	"testing"
	"time"
)

// TestDeviceDefenderTakesWhatIsDocumentedAndNothingElse is [defender], with its
// own examples in long and short names.
func TestDeviceDefenderTakesWhatIsDocumentedAndNothingElse(t *testing.T) {
	s, c := start(t)
	now := time.Unix(1e9, 0)
	s.mu.Lock()
	s.Now = func() time.Time { return now }
	s.mu.Unlock()
	const (
		header = `"header":{"report_id":%ID,"version":"1.0"}`
		stats  = `"metrics":{"network_stats":{"bytes_in":1,"bytes_out":2,"packets_in":3,"packets_out":4}}`
	)
	id := 0
	for _, one := range []struct{ name, report, want string }{
		{"long names", `{` + header + `,"metrics":{"listening_tcp_ports":{"ports":[{"interface":"eth0","port":22}],"total":1},"listening_udp_ports":{"ports":[{"interface":"eth0","port":67}],"total":1},` +
			`"network_stats":{"bytes_in":1,"bytes_out":2,"packets_in":3,"packets_out":4},"tcp_connections":{"established_connections":{"connections":[{"local_interface":"eth0","local_port":80,"remote_addr":"192.168.0.1:8000"}],"total":1}}},` +
			`"custom_metrics":{"a":[{"number":1.5}],"b":[{"number_list":[1,2]}],"c":[{"string_list":["x"]}],"d":[{"ip_list":["172.0.0.1"]}]}}`, "accepted"},
		{"short names", `{"hed":{"rid":%ID,"v":"1.0"},"met":{"tp":{"pts":[{"pt":22,"if":"eth0"}],"t":1},"up":{"pts":[],"t":0},"ns":{"bi":1,"bo":2,"pi":3,"po":4},` +
			`"tc":{"ec":{"cs":[{"li":"eth0","lp":80,"rad":"[::1]:8000"}],"t":1}}},"cmet":{"a":[{"number":1}]}}`, "accepted"},
		{"custom metrics alone", `{` + header + `,"custom_metrics":{"a":[{"number":1}]}}`, "accepted"},
		{"no JSON", `{`, "rejected"},
		{"a list", `[]`, "rejected"},
		{"no header", `{` + stats + `}`, "rejected"},
		{"no version", `{"header":{"report_id":%ID},` + stats + `}`, "rejected"},
		{"an id that is text", `{"header":{"report_id":"%ID","version":"1.0"},` + stats + `}`, "rejected"},
		{"no metrics", `{` + header + `,"metrics":{}}`, "rejected"},
		{"metrics that are a number", `{` + header + `,"metrics":7}`, "rejected"},
		{"an unknown metric", `{` + header + `,"metrics":{"weather":{"sun":1}}}`, "rejected"},
		{"bytes below zero", `{` + header + `,"metrics":{"network_stats":{"bytes_in":-1}}}`, "rejected"},
		{"a port beyond all", `{` + header + `,"metrics":{"listening_tcp_ports":{"ports":[{"port":70000}],"total":1}}}`, "rejected"},
		{"a remote without a port", `{` + header + `,"metrics":{"tcp_connections":{"established_connections":{"connections":[{"remote_addr":"10.0.0.1"}]}}}}`, "rejected"},
		{"a bare custom number", `{` + header + `,"custom_metrics":{"a":1}}`, "rejected"},
		{"a custom metric of two kinds", `{` + header + `,"custom_metrics":{"a":[{"number":1,"string_list":["x"]}]}}`, "rejected"},
		{"a custom metric of an unknown kind", `{` + header + `,"custom_metrics":{"a":[{"truth":true}]}}`, "rejected"},
		{"no address", `{` + header + `,"custom_metrics":{"a":[{"ip_list":["here"]}]}}`, "rejected"},
	} {
		id++
		s.mu.Lock()
		now = now.Add(301 * time.Second)
		s.mu.Unlock()
		if reply, body := c.ask("defender/metrics/json", numbered(one.report, id)); reply != one.want {
			t.Errorf("%s: got %s %v, want %s", one.name, reply, body, one.want)
		}
	}
	if got := s.Reports("gw-1"); len(got) != 3 || len(got[1].Metrics["network_stats"]) == 0 || *got[1].Custom["a"][0].Number != 1 {
		t.Errorf("got %v, want short names as long ones", got)
	}
}
