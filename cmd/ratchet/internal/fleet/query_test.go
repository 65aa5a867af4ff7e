package fleet_test

import (
	"testing"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
)

func TestAQuerySeesAllThatIsKnownOfADevice(t *testing.T) {
	f := heard(t, "device/gw-1/state", `{"online":true,"since":"2026-11-30T10:00:00Z"}`,
		"device/gw-1/facts", `{"device":"gw-1","agent":"v1.3.9-4-gabc","groups":["routers"],"tags":{"site":"berlin"},"board":{"arch":"mipsle"}}`,
		"device/gw-1/alerts/hot", `{"state":"raised","severity":"critical"}`, "device/gw-1/jobs/wifi", `{"state":"failed","rev":3}`,
		"device/gw-1/health", `[{"cpu":{"percent":10}},{"cpu":{"percent":95}}]`)
	for text, want := range map[string]bool{
		"":                             true,
		`.tags.site == "berlin"`:       true, // as a target names it
		`.facts.tags.site == "berlin"`: true,
		`.health.cpu.percent > 90`:     true,
		`any(.alerts[]; .severity == "critical")`:   true,
		`.jobs.wifi.state == "failed"`:              true,
		`.state == "online" and .since < "2027"`:    true,
		`.nothing`:                                  false,
		`.tags.site | tonumber > 1`:                 false, // it fails on this device
		"site=berlin":                               true,
		"site!=berlin":                              false,
		"site=berlin state=online arch=mipsle":      true,
		"site=berlin state=offline":                 false,
		"state=failed":                              true,
		"state=running":                             false,
		"agent<1.4":                                 true,
		"agent<1.3.9":                               false,
		"agent>=1.3.9":                              true,
		"agent<1.10":                                true,
		"group=routers alert=hot severity=critical": true,
		"group!=routers":                            false,
		"job=wifi device=gw-1":                      true,
		"job=other":                                 false,
	} {
		q, err := fleet.ParseQuery(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := q.Picks(f.Device("gw-1"), false); got != want {
			t.Errorf("%s, which means %s: got %v, want %v", text, q.Text, got, want)
		}
	}
	if _, err := fleet.ParseQuery("def f: 1; f"); err == nil {
		t.Error("what could run for ever is taken")
	}
}
