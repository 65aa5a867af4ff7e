package jobs

import (
	"encoding/json"
	"time"
)

// A Report is one for Device Defender, with its long names.
type Report struct {
	Header struct {
		ID      int64  `json:"report_id"`
		Version string `json:"version"`
	} `json:"header"`
	Metrics map[string]json.RawMessage `json:"metrics"`
	Custom  map[string][]Sample        `json:"custom_metrics"`
	At      time.Time                  `json:"-"`
}

// A Sample is the value of a custom metric: one of these.
type Sample struct {
	Number  *float64  `json:"number,omitempty"`
	Numbers []float64 `json:"number_list,omitempty"`
	Texts   []string  `json:"string_list,omitempty"`
	IPs     []string  `json:"ip_list,omitempty"`
}

// takeReport checks a report against the rules: its form, 300 s apart, and an
// id that rises [defender]. The lock is held.
func (s *Service) takeReport(name, topic string, payload []byte) (string, []byte) {
	t := s.thing(name)
	r, bad := readReport(payload)
	why, message := "", ""
	switch last := lastOf(t.reports); {
	case bad != nil:
		why, message = "InvalidPayload", bad.Error()
	case last != nil && s.Now().Sub(last.At) < 5*s.Minute:
		why, message = "Throttled", "reports are at least 300 s apart"
	case last != nil && r.Header.ID <= last.Header.ID:
		why, message = "InvalidPayload", "report_id has to rise"
	}
	body := map[string]any{"thingName": name, "reportId": r.Header.ID, "status": "ACCEPTED", "timestamp": s.Now().UnixMilli()}
	if why != "" {
		body["status"], body["statusDetails"] = "REJECTED", map[string]any{"ErrorCode": why, "ErrorMessage": message}
		return topic + "/rejected", encode(body)
	}
	r.At = s.Now()
	t.reports = append(t.reports, r)
	return topic + "/accepted", encode(body)
}

func lastOf(reports []Report) *Report {
	if len(reports) == 0 {
		return nil
	}
	return &reports[len(reports)-1]
}

// Reports are those that were accepted.
func (s *Service) Reports(name string) []Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Report(nil), s.thing(name).reports...)
}
