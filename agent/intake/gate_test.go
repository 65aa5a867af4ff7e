package intake

import (
	"testing"
	"time"

	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/executor"
)

func TestASpreadNeedsNoClock(t *testing.T) {
	var c config.Current
	c.Store(&config.Config{Device: "gw-1"})
	j := Judge{Config: &c, Clock: &clock.Clock{}, Started: time.Now()}
	j.Clock.Start(time.Now().Add(24 * time.Hour)) // the wall clock lies behind the floor
	r := executor.Record{ID: "j1", Job: executor.Job{Spread: executor.Duration(10 * time.Hour)}}
	if left := j.spreadLeft(r); left <= 0 {
		t.Errorf("no spread at all while the clock is not set: %s", left)
	}
}
