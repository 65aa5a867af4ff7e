package dialect

import (
	"fmt"
	"testing"
)

// TestRolloutVectors holds what any other implementation must compute too:
// bucket is uint64(sha256(id + "\n" + device)[:8]) % 10000, found with another
// program. A device takes part above bucket/100 percent.
func TestRolloutVectors(t *testing.T) {
	for _, c := range []struct {
		id, device string
		bucket     int
	}{
		{"wifi-2026-11", "gw-7", 257},
		{"wifi-2026-11", "gw-8", 4397},
		{"a", "b", 2403},
		{"", "x", 2354},
		{"firmware-7", "berlin.gw_1", 242},
	} {
		for _, step := range []int{-1, 0, 1} {
			percent := float64(c.bucket+step) / 100
			if got, want := InRollout(c.id, c.device, percent), step > 0; got != want {
				t.Errorf("%s on %s at %v%%: got %v, want %v", c.id, c.device, percent, got, want)
			}
		}
	}
}

func TestRaisingTheRolloutOnlyAddsDevices(t *testing.T) {
	const fleet = 2000
	for _, id := range []string{"wifi", "wifi-2026-11"} {
		before := make([]bool, fleet)
		for _, percent := range []float64{0, 0.5, 1, 10, 33.3, 50, 99.99, 100} {
			took := 0
			for i := range before {
				in := InRollout(id, fmt.Sprintf("gw-%d", i), percent)
				if before[i] && !in {
					t.Fatalf("%s at %v%%: gw-%d fell out", id, percent, i)
				}
				before[i] = in
				if in {
					took++
				}
			}
			if want := percent / 100 * fleet; float64(took) < want-60 || float64(took) > want+60 {
				t.Errorf("%s at %v%%: got %d of %d devices, want about %.0f", id, percent, took, fleet, want)
			}
		}
	}
}

func TestAudienceIsWhomTheAuthorMeant(t *testing.T) {
	groups := []string{"routers", "lab"}
	for _, c := range []struct {
		audience []string
		want     bool
	}{
		{nil, true},
		{[]string{"all"}, true},
		{[]string{"device/gw-1"}, true},
		{[]string{"device/gw-2", "group/lab"}, true},
		{[]string{"device/gw-2"}, false},
		{[]string{"group/gw-1"}, false},
		{[]string{"device/lab"}, false},
		{[]string{"group/office"}, false},
	} {
		if got := Addressed(c.audience, "gw-1", groups); got != c.want {
			t.Errorf("%q: got %v, want %v", c.audience, got, c.want)
		}
	}
}
