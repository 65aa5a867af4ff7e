package agent

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"time"

	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/telemetry"
)

const (
	backlogPace  = 10 * time.Second // between arrays of samples that waited: jobs and live samples go first
	backlogBatch = 16               // samples in such an array
	backlogBytes = 32 << 10
)

// sendSamples tells the newest sample at once, and those that waited slowly.
// While there is nobody to tell, what waits goes to the journal now and then.
func (a *Agent) sendSamples(ctx context.Context) error {
	var pace <-chan time.Time
	for {
		due := false
		select {
		case <-ctx.Done():
			return nil
		case <-a.backlog.signal:
		case <-pace:
			pace, due = nil, true
		}
		n := a.link.current()
		if n == nil {
			pace = nil
			a.spill(time.Now())
			continue
		}
		if err := a.sendSome(ctx, n, due); err != nil {
			if ctx.Err() == nil {
				n.fail(err) // what the broker did not take waits for the next connection
			}
			continue
		}
		if pace == nil && a.backlog.len() > 0 {
			pace = time.After(backlogPace/2 + rand.N(backlogPace))
		}
	}
}

func (a *Agent) sendSome(ctx context.Context, n *session, due bool) error {
	var err error
	if w := a.backlog.newest(); w != nil {
		err = a.sendLive(ctx, n, w)
	} else if due {
		err = a.sendBatch(ctx, n)
	}
	if err == nil {
		a.forgetSent()
	}
	return err
}

// sendLive sends the newest sample; how long the broker takes is what the next
// one tells of it.
func (a *Agent) sendLive(ctx context.Context, n *session, w *waiting) error {
	data := a.dataOf(w)
	if data == nil {
		a.backlog.took(w)
		return nil
	}
	qos, began := a.config.Load().Telemetry.QoS, time.Now()
	if err := a.publishHealth(ctx, n.conn, dialect.Health{data}, qos); err != nil {
		return err
	}
	if qos > 0 {
		a.link.rtt.Store(time.Since(began).Milliseconds())
	}
	a.backlog.took(w)
	return nil
}

// sendBatch sends the oldest of those that waited. What waited is not to be
// lost on its last way, so the broker has to acknowledge it.
func (a *Agent) sendBatch(ctx context.Context, n *session) error {
	var health dialect.Health
	some := a.backlog.oldest(backlogBatch)
	size := 0
	for i, w := range some {
		data := a.dataOf(w)
		if size += len(data); i > 0 && size > backlogBytes {
			some = some[:i]
			break
		}
		if data != nil {
			health = append(health, data)
		}
	}
	if len(health) > 0 {
		if err := a.publishHealth(ctx, n.conn, health, 1); err != nil {
			return err
		}
	}
	a.backlog.took(some...)
	return nil
}

func (a *Agent) publishHealth(ctx context.Context, n *conn, samples dialect.Health, qos int) error {
	for _, m := range a.dialect().Tell(samples) {
		m.Lossy = qos == 0
		if err := n.answered(ctx, n.publish(m)); err != nil {
			return err
		}
	}
	return nil
}

// dataOf is what a sample is on the wire; nil if the journal has lost it. One
// that was taken while the clock was wrong gets its time as soon as that is known.
func (a *Agent) dataOf(w *waiting) []byte {
	data := w.data
	if w.seq != 0 {
		var err error
		if data, err = a.db.Sample(w.seq); err != nil {
			a.log.Warn("a sample in the journal cannot be read", "err", err)
			return nil
		}
	}
	now := a.clock.Stamp()
	if !w.undated || now.IsZero() || data == nil {
		return data
	}
	return dated(data, now.Add(-time.Since(w.at)))
}

func dated(data []byte, at time.Time) []byte {
	var s telemetry.Sample
	if json.Unmarshal(data, &s) != nil {
		return data
	}
	s.Time = clock.TimeOf(at).Time
	if with, err := json.Marshal(s); err == nil {
		return with
	}
	return data
}
