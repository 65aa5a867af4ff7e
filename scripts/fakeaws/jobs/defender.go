package jobs

import (
	"encoding/json"
	"time"
)

// A Report is one for Device Defender, as it came.
type Report struct {
	Header struct {
		ID      int64  `json:"report_id"`
		Version string `json:"version"`
	} `json:"header"`
	Metrics map[string]json.RawMessage `json:"metrics"`
	Custom  map[string][]struct {
		Number *float64 `json:"number"`
	} `json:"custom_metrics"`
	At time.Time `json:"-"`
}

// takeReport checks a report against the rules: 300 s apart, with an id that
// rises, and with metrics at all [defender]. The lock is held.
func (s *Service) takeReport(name, topic string, payload []byte) (string, []byte) {
	var r Report
	t, why := s.thing(name), ""
	switch err := json.Unmarshal(payload, &r); {
	case err != nil:
		why = "InvalidPayload"
	case r.Header.Version != "1.0" || len(r.Metrics)+len(r.Custom) == 0:
		why = "InvalidPayload"
	case len(t.reports) > 0 && s.Now().Sub(t.reports[len(t.reports)-1].At) < 5*s.Minute:
		why = "Throttled"
	case len(t.reports) > 0 && r.Header.ID <= t.reports[len(t.reports)-1].Header.ID:
		why = "InvalidPayload"
	}
	body := map[string]any{"thingName": name, "reportId": r.Header.ID, "status": "ACCEPTED", "timestamp": s.Now().UnixMilli()}
	if why != "" {
		body["status"], body["statusDetails"] = "REJECTED", map[string]any{"ErrorCode": why, "ErrorMessage": why}
		return topic + "/rejected", encode(body)
	}
	r.At = s.Now()
	t.reports = append(t.reports, r)
	return topic + "/accepted", encode(body)
}

// Reports are those that were accepted.
func (s *Service) Reports(name string) []Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Report(nil), s.thing(name).reports...)
}
