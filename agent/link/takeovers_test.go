package link

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor/backoff"
)

func TestAFightForTheIDIsLeftAlone(t *testing.T) {
	var f takeovers
	now := time.Now()
	var waits []string
	pause := backoff.Pause{First: backoffMin, Most: backoffMax}
	for range 14 {
		wait := pauseAfter(&pause, time.Second, false)
		if f.lost(now, time.Second, io.EOF) {
			wait = 5 * time.Minute
		}
		waits = append(waits, wait.Round(time.Second).String())
		now = now.Add(wait)
	}
	t.Log(strings.Join(waits, " "))
	seen := false
	for _, w := range waits {
		if w == "5m0s" {
			seen = true
		} else if seen {
			t.Error("after the alert it tries more often than every 5 minutes:", w)
			break
		}
	}
}
