package agent

import (
	"context"
	"encoding/json"
	"net/netip"
	"net/url"
	"time"

	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/telemetry"
)

const (
	dnsEvery   = time.Hour // each costs some 300 bytes
	dnsTimeout = 5 * time.Second
)

// watchHealth samples the board, and now and then has a sample sent.
func (a *Agent) watchHealth(ctx context.Context) error {
	var kept time.Time
	var dns lookup
	for {
		c := a.config.Load()
		s := a.sampler.Sample(ctx)
		s.Time = clock.TimeOf(a.clock.Stamp()).Time
		s.Boot = a.lastBoot
		s.Broker = a.link.feels()
		if s.Broker != nil {
			s.Broker.DNSMillis = dns.millis(ctx, c.Link.Broker)
		}
		a.health.Store(&s)
		a.schedules.heed()
		a.rules.judge(ctx, s)
		a.alerts.age()
		a.spool.take(ctx)
		if time.Since(kept) >= time.Duration(c.Telemetry.Publish)-time.Duration(c.Telemetry.Every)/2 {
			kept = time.Now()
			a.keep(s)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Duration(c.Telemetry.Every)):
		}
	}
}

// keep has a sample sent, as soon as that is possible.
func (a *Agent) keep(s telemetry.Sample) {
	data, err := json.Marshal(s)
	if err != nil {
		a.log.Error("encoding a sample", "err", err)
		return
	}
	limit := ramSamples
	if a.config.Load().Telemetry.Spill > 0 {
		limit = min(maxSamples, a.db.SampleRoom()/max(sampleSize, len(data)))
	}
	a.backlog.add(&waiting{at: time.Now(), data: data, undated: s.Time.IsZero()}, limit)
}

// feels is nil while there is no connection.
func (l *link) feels() *telemetry.Broker {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session == nil {
		return nil
	}
	return &telemetry.Broker{ConnectedFor: int64(time.Since(l.since).Seconds()), RTTMillis: l.rtt.Load()}
}

// A lookup is how long it last took to find the broker's addresses.
type lookup struct {
	at   time.Time
	last *int64
}

// millis asks once an hour. Addresses that need no asking give none.
func (d *lookup) millis(ctx context.Context, broker string) *int64 {
	if !d.at.IsZero() && time.Since(d.at) < dnsEvery {
		return d.last
	}
	d.at, d.last = time.Now(), nil
	u, err := url.Parse(broker)
	if err != nil {
		return nil
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, dnsTimeout)
	defer cancel()
	if r, err := (telemetry.Prober{}).DNS(ctx, u.Hostname()); err == nil && r.Value != nil {
		millis := int64(*r.Value)
		d.last = &millis
	}
	return d.last
}
