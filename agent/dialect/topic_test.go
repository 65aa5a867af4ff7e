package dialect

import (
	"slices"
	"testing"
)

func TestTopicsAreReadAsTheyAreWritten(t *testing.T) {
	for _, c := range []struct {
		topic Topic
		want  string
	}{
		{Topic{To: "device/gw-7", Name: "wifi"}, "a/b/jobs/device/gw-7/wifi"},
		{Topic{To: "group/routers", Name: "wifi"}, "a/b/jobs/group/routers/wifi"},
		{Topic{To: "all", Name: "wifi"}, "a/b/jobs/all/wifi"},
		{Topic{Device: "gw-7", Part: "state"}, "a/b/device/gw-7/state"},
		{Topic{Device: "gw-7", Part: "facts"}, "a/b/device/gw-7/facts"},
		{Topic{Device: "gw-7", Part: "health"}, "a/b/device/gw-7/health"},
		{Topic{Device: "gw-7", Part: "jobs", Name: "wifi"}, "a/b/device/gw-7/jobs/wifi"},
		{Topic{Device: "gw-7", Part: "alerts", Name: "hot"}, "a/b/device/gw-7/alerts/hot"},
		{Topic{Part: Rollouts, Name: "wifi"}, "a/b/rollouts/wifi"},
		{Topic{Device: "+", Part: "jobs", Name: "+"}, "a/b/device/+/jobs/+"},
	} {
		if got := c.topic.Below("a/b"); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
		if got, ok := ParseTopic("a/b", c.want); !ok || got != c.topic {
			t.Errorf("%q: got %+v %v, want %+v", c.want, got, ok, c.topic)
		}
	}
}

func TestForeignTopicsAreNotOurs(t *testing.T) {
	for _, topic := range []string{
		"", "r", "r/", "x/jobs/all/a", "r/jobs", "r/jobs/all", "r/jobs/all/", "r/jobs/all/a/b", "r/jobs/device/a",
		"r/jobs/device//a", "r/jobs/site/x/a", "r/device/a", "r/device/a/state/x", "r/device/a/jobs", "r/device/a/jobs/b/c",
		"r/device/a/other", "r/device/a/state/x/y", "r/devices/a/state", "r/device//state", "r/rollouts", "r/rollouts/a/b", "r/device/a/rollouts/b",
	} {
		if got, ok := ParseTopic("r", topic); ok {
			t.Errorf("%q: got %+v, want nothing", topic, got)
		}
	}
}

func TestOfferFiltersReachEveryWayToADevice(t *testing.T) {
	got := OfferFilters("r", "wifi")
	want := []string{"r/jobs/device/+/wifi", "r/jobs/group/+/wifi", "r/jobs/all/wifi"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
