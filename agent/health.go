package agent

import (
	"context"
	"encoding/json"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/telemetry"
)

// watchHealth samples the board, and now and then sends a sample.
func (a *Agent) watchHealth(ctx context.Context) error {
	var published time.Time
	for {
		c := a.config.Load().Telemetry
		s := a.sampler.Sample(ctx)
		a.health.Store(&s)
		if time.Since(published) >= time.Duration(c.Publish)-time.Duration(c.Every)/2 && a.publishHealth(s, c.QoS) {
			published = time.Now()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Duration(c.Every)):
		}
	}
}

// publishHealth tells whether there was a connection to send the sample on.
func (a *Agent) publishHealth(s telemetry.Sample, qos int) bool {
	n := a.link.current()
	if n == nil {
		return false
	}
	s.Broker = &telemetry.Broker{ConnectedFor: int64(a.link.connectedFor().Seconds())}
	s.Time = stampOf(a.clock.stamp()).Time
	payload, err := json.Marshal(s)
	if err != nil {
		a.log.Error("encoding a sample", "err", err)
		return true
	}
	for _, m := range a.dialect().Tell(dialect.Health{payload}) {
		m.Lossy = qos == 0
		n.conn.publish(m)
	}
	return true
}

func (l *link) connectedFor() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session == nil {
		return 0
	}
	return time.Since(l.since)
}
