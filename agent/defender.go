package agent

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

// watchSockets reports to Device Defender. The first report comes when the time
// has passed once: an agent before this one may just have sent one.
func (a *Agent) watchSockets(ctx context.Context) error {
	for {
		every := time.Duration(a.config.Load().AWS.Defender)
		if every == 0 || !a.config.Load().Service().Metrics {
			every = time.Hour // a reload may turn it on
		} else if err := a.defend(); err != nil {
			a.log.Warn("Device Defender gets no report", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every + defenderSlack):
		}
	}
}

// defend sends one report, if there is a connection; the first call only notes
// where the counters stand.
func (a *Agent) defend() error {
	traffic, err := telemetry.ReadTraffic()
	if err != nil {
		return err
	}
	a.defended.mu.Lock()
	defer a.defended.mu.Unlock()
	d := &a.defended
	if !d.begun {
		d.begun, d.accepted = true, traffic
		return nil
	}
	n := a.link.current()
	if n == nil {
		return nil
	}
	sockets, err := telemetry.ReadSockets()
	if err != nil {
		return err
	}
	since := traffic.Since(d.accepted)
	d.id, d.sent = max(d.id+1, a.clock.Now().Unix()), traffic
	a.publish(n.conn, a.dialect().Tell(dialect.Metrics{ID: d.id, Traffic: &since, Sockets: sockets, Numbers: a.numbers()}))
	return nil
}

// numbers are the custom metrics that the owner wants told.
func (a *Agent) numbers() map[string]float64 {
	told := map[string]float64{}
	sample := a.health.Load()
	if sample == nil {
		return nil
	}
	for _, name := range a.config.Load().AWS.Metrics {
		if n := telemetry.Figures[name](sample); n != nil {
			told[name] = *n
		}
	}
	return told
}

// defendedBy takes the answer to a report. What was refused is in the next one.
func (a *Agent) defendedBy(e dialect.Defended) {
	d := &a.defended
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case e.ID != d.id:
	case e.Err == nil:
		d.accepted, d.why = d.sent, ""
	case e.Err.Error() != d.why:
		d.why = e.Err.Error()
		a.log.Warn("Device Defender refuses a report: are the custom metrics of aws.metrics declared in the account?", "err", e.Err)
	}
}
