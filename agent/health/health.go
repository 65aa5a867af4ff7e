package health

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/netip"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/link"
	"github.com/ratchetd/ratchet/store"
	"github.com/ratchetd/ratchet/telemetry"
)

// A Health samples the board and has samples sent. Make it with New and set the
// exported fields before it is used.
type Health struct {
	Config *config.Current
	Clock  *clock.Clock
	Link   *link.Link
	DB     *store.DB
	Board  *telemetry.Sampler
	BootID string // the id of this boot
	Log    *slog.Logger

	boot     *telemetry.Boot // as every sample has it
	last     atomic.Pointer[telemetry.Sample]
	backlog  *backlog
	defended defended
}

// New is one that has no sample yet.
func New() *Health { return &Health{backlog: newBacklog()} }

// Last is the newest sample, or nil.
func (h *Health) Last() *telemetry.Sample { return h.last.Load() }

// Retry says that there is a connection: what waits can be sent.
func (h *Health) Retry() { h.backlog.retry() }

const (
	dnsEvery   = time.Hour // each costs some 300 bytes
	dnsTimeout = 5 * time.Second
)

// Watch samples the board until ctx ends, gives each sample to onSample, and now
// and then has one sent.
func (h *Health) Watch(ctx context.Context, onSample func(context.Context, telemetry.Sample)) error {
	var kept time.Time
	var dns lookup
	for {
		c := h.Config.Load()
		s := h.Board.Sample(ctx)
		s.Time = clock.TimeOf(h.Clock.Stamp()).Time
		s.Boot = h.boot
		s.Broker = h.broker()
		if s.Broker != nil {
			s.Broker.DNSMillis = dns.millis(ctx, h.Link.Broker())
		}
		h.last.Store(&s)
		onSample(ctx, s)
		if time.Since(kept) >= time.Duration(c.Telemetry.Publish)-time.Duration(c.Telemetry.Every)/2 {
			kept = time.Now()
			h.keep(s)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Duration(c.Telemetry.Every)):
		}
	}
}

// broker is how the link is; nil while there is no connection.
func (h *Health) broker() *telemetry.Broker {
	s := h.Link.Status()
	if !s.Connected {
		return nil
	}
	return &telemetry.Broker{ConnectedFor: s.For, RTTMillis: h.Link.RTT()}
}

// keep has a sample sent, as soon as that is possible.
func (h *Health) keep(s telemetry.Sample) {
	data, err := json.Marshal(s)
	if err != nil {
		h.Log.Error("encoding a sample", "err", err)
		return
	}
	limit := ramSamples
	if h.Config.Load().Telemetry.Spill > 0 {
		limit = min(maxSamples, h.DB.SampleRoom()/max(sampleSize, len(data)))
	}
	h.backlog.add(&waiting{at: time.Now(), data: data, undated: s.Time.IsZero()}, limit)
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
