package health

import (
	"context"
	"sync"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/telemetry"
)

// defended is what Device Defender was told. The traffic that a report holds is
// what came since the last that was accepted, so that none is lost or counted
// twice.
type defended struct {
	mu       sync.Mutex
	id       int64             // of the last report
	sent     telemetry.Traffic // the counters, as that report found them
	accepted telemetry.Traffic // as the last accepted one did
	begun    bool
	why      string // the last one was refused
}

// defenderSlack keeps two reports apart by more than the least time, however
// long each took on its way.
const defenderSlack = 10 * time.Second

// Defend reports to Device Defender. The first report comes when the time
// has passed once: an agent before this one may just have sent one.
func (h *Health) Defend(ctx context.Context) error {
	for {
		every := time.Duration(h.Config.Load().AWS.Defender)
		if every == 0 || !h.Config.Load().Service().Metrics {
			every = time.Hour // a reload may turn it on
		} else if err := h.SendReport(); err != nil {
			h.Log.Warn("Device Defender gets no report", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every + defenderSlack):
		}
	}
}

// SendReport sends one report, if there is a connection; the first call only notes
// where the counters stand.
func (h *Health) SendReport() error {
	traffic, err := telemetry.ReadTraffic()
	if err != nil {
		return err
	}
	h.defended.mu.Lock()
	defer h.defended.mu.Unlock()
	d := &h.defended
	if !d.begun {
		d.begun, d.accepted = true, traffic
		return nil
	}
	n := h.Link.Session()
	if n == nil {
		return nil
	}
	sockets, err := telemetry.ReadSockets()
	if err != nil {
		return err
	}
	since := traffic.Since(d.accepted)
	d.id, d.sent = max(d.id+1, h.Clock.Now().Unix()), traffic
	n.Send(h.Config.Load().Dialect().Tell(dialect.Metrics{ID: d.id, Traffic: &since, Sockets: sockets, Numbers: h.numbers()}))
	return nil
}

// numbers are the custom metrics that the owner wants told.
func (h *Health) numbers() map[string]float64 {
	told := map[string]float64{}
	sample := h.last.Load()
	if sample == nil {
		return nil
	}
	for _, name := range h.Config.Load().AWS.Metrics {
		if n := telemetry.Figures[name](sample); n != nil {
			told[name] = *n
		}
	}
	return told
}

// Defended takes the answer to a report. What was refused is in the next one.
func (h *Health) Defended(e dialect.Defended) {
	d := &h.defended
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case e.ID != d.id:
	case e.Err == nil:
		d.accepted, d.why = d.sent, ""
	case e.Err.Error() != d.why:
		d.why = e.Err.Error()
		h.Log.Warn("Device Defender refuses a report: are the custom metrics of aws.metrics declared in the account?", "err", e.Err)
	}
}

// Accounted is how far Device Defender knows this device's traffic: the counters as
// the last report and as the last accepted one found them, and why the last one was
// refused.
func (h *Health) Accounted() (sent, accepted telemetry.Traffic, refused string) {
	h.defended.mu.Lock()
	defer h.defended.mu.Unlock()
	return h.defended.sent, h.defended.accepted, h.defended.why
}
