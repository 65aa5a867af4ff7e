package serve

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/agent/dialect"
)

func TestEveryMetricOfTheAlertRulesExists(t *testing.T) {
	rules, err := os.ReadFile("../../../../scripts/prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	s := staged(t, func(s *stage) {
		fewDevices(s)
		if err := s.device.Publish(s.t.Context(), dialect.Topic{Part: dialect.Rollouts, Name: "wifi"}, []byte(`{"job":"wifi","state":"paused"}`)); err != nil {
			s.t.Fatal(err)
		}
	})
	_, text, _ := s.get("/metrics", looker)
	seen := 0
	for expression := range strings.Lines(string(rules)) {
		_, query, found := strings.Cut(expression, " expr: ")
		if !found {
			continue
		}
		for _, name := range regexp.MustCompile(`ratchet_[a-z_]+`).FindAllString(query, -1) {
			if seen++; !strings.Contains(text, "\n"+name+"{") && !strings.Contains(text, "\n"+name+" ") {
				t.Errorf("no metric is called %s", name)
			}
		}
	}
	if seen < 6 {
		t.Errorf("%d metrics in the rules", seen)
	}
	if !strings.Contains(text, `ratchet_rollout_state{job_id="wifi",ratchet_rollout_state="paused"} 1`) {
		t.Error("a paused rollout is not told")
	}
}
