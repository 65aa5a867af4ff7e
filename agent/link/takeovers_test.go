package link

import (
	"io"
	"strings"
	"testing"
	"time"
)

func TestAFightForTheIDIsLeftAlone(t *testing.T) {
	var f takeovers
	now := time.Now()
	var waits []string
	wait := time.Second
	for range 14 {
		wait = backoff(wait, time.Second, false)
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
