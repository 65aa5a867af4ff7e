package health

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"time"

	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/link"
	"github.com/ratchetd/ratchet/telemetry"
)

const (
	backlogPace  = 10 * time.Second // between arrays of samples that waited: jobs and live samples go first
	backlogBatch = 16               // samples in such an array
	backlogBytes = 32 << 10
)

// Run tells the newest sample at once, and those that waited slowly.
// While there is nobody to tell, what waits goes to the journal now and then.
func (h *Health) Run(ctx context.Context) error {
	var pace <-chan time.Time
	for {
		due := false
		select {
		case <-ctx.Done():
			return nil
		case <-h.backlog.signal:
		case <-pace:
			pace, due = nil, true
		}
		n := h.Link.Session()
		if n == nil {
			pace = nil
			h.spill(time.Now())
			continue
		}
		if err := h.sendSome(ctx, n, due); err != nil {
			if ctx.Err() == nil {
				n.Fail(err) // what the broker did not take waits for the next connection
			}
			continue
		}
		if pace == nil && h.backlog.len() > 0 {
			pace = time.After(backlogPace/2 + rand.N(backlogPace))
		}
	}
}

func (h *Health) sendSome(ctx context.Context, n *link.Session, due bool) error {
	var err error
	if w := h.backlog.newest(); w != nil {
		err = h.sendLive(ctx, n, w)
	} else if due {
		err = h.sendBatch(ctx, n)
	}
	if err == nil {
		h.forgetSent()
	}
	return err
}

// sendLive sends the newest sample; how long the broker takes is what the next
// one tells of it.
func (h *Health) sendLive(ctx context.Context, n *link.Session, w *waiting) error {
	data := h.dataOf(w)
	if data == nil {
		h.backlog.took(w)
		return nil
	}
	qos, began := h.Config.Load().Telemetry.QoS, time.Now()
	if err := h.publish(ctx, n, dialect.Health{data}, qos); err != nil {
		return err
	}
	if qos > 0 {
		h.Link.NoteRTT(time.Since(began))
	}
	h.backlog.took(w)
	return nil
}

// sendBatch sends the oldest of those that waited. What waited is not to be
// lost on its last way, so the broker has to acknowledge it.
func (h *Health) sendBatch(ctx context.Context, n *link.Session) error {
	var health dialect.Health
	some := h.backlog.oldest(backlogBatch)
	size := 0
	for i, w := range some {
		data := h.dataOf(w)
		if size += len(data); i > 0 && size > backlogBytes {
			some = some[:i]
			break
		}
		if data != nil {
			health = append(health, data)
		}
	}
	if len(health) > 0 {
		if err := h.publish(ctx, n, health, 1); err != nil {
			return err
		}
	}
	h.backlog.took(some...)
	return nil
}

func (h *Health) publish(ctx context.Context, n *link.Session, samples dialect.Health, qos int) error {
	messages := h.Config.Load().Dialect().Tell(samples)
	for i := range messages {
		messages[i].Lossy = qos == 0
	}
	return n.Publish(ctx, messages)
}

// dataOf is what a sample is on the wire; nil if the journal has lost it. One
// that was taken while the clock was wrong gets its time as soon as that is known.
func (h *Health) dataOf(w *waiting) []byte {
	data := w.data
	if w.seq != 0 {
		var err error
		if data, err = h.DB.Sample(w.seq); err != nil {
			h.Log.Warn("a sample in the journal cannot be read", "err", err)
			return nil
		}
	}
	now := h.Clock.Stamp()
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
