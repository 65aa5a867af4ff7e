package link

import (
	"fmt"
	"testing"

	"github.com/ratchetd/ratchet/agent/dialect"
)

// A broker that hangs up on many topics, such as the statuses of a year, does not keep
// the one on which it hangs up now from being noted: that would be sent first for ever.
func TestTheNewestRefusalIsAlwaysNoted(t *testing.T) {
	var r refusals
	for i := range 2 * maxRefusals {
		m := dialect.Message{Topic: fmt.Sprintf("device/gw-1/jobs/j%d", i)}
		for want := 1; want <= refusedTwice; want++ {
			if got := r.hungUp(m); got != want {
				t.Fatalf("topic %d: counted %d, want %d", i, got, want)
			}
		}
		if !r.drops(m) {
			t.Fatalf("topic %d is sent on and on", i)
		}
	}
	if len(r.of) > maxRefusals {
		t.Errorf("%d are kept", len(r.of))
	}
}
