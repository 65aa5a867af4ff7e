// Package watch listens at a broker for as long as it is let: what it hears
// becomes a live view of the fleet, and goes into the memory. It shows nothing.
//
// It has two connections. One reads what is retained, of which a broker gives all
// with QoS 0 only, and follows it. The other has a session that the broker keeps:
// what devices say while nobody listens waits there, and each message is
// acknowledged when the memory has it.
package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/serve/memory"
)

const (
	atOnce  = 500              // messages that one commit keeps, at most
	linger  = time.Millisecond // for which a commit waits for more of them
	again   = time.Second      // after which what failed is tried again
	longest = 10 * time.Second // of again, which doubles
	settled = time.Minute      // a connection that held so long begins with again
	silence = 12*time.Minute + 30*time.Second
)

// A Watcher keeps a view and a memory up to date. Link, Memory and Log must be set.
type Watcher struct {
	Link   link.Options
	Memory *memory.Memory
	Log    *slog.Logger
	// Silence is how long nothing comes of a device that says online before it is
	// stale: 2.5 times telemetry.publish. Zero is twelve and a half minutes.
	Silence time.Duration
	// Notice is given each message that was kept, as it comes; it may be nil, and must
	// not block.
	Notice func(link.Message)

	mu      sync.Mutex
	client  *link.Client // while it is connected
	fleet   *fleet.Fleet
	heard   map[string]time.Time // devices
	status  Status
	changed chan struct{}
}

// A Status is how the watching goes.
type Status struct {
	Connected bool
	Since     time.Time // connected, or not
	Broker    string    // why it is not connected; empty where it is
	Database  string    // why what comes cannot be kept; empty where it can
	Messages  uint64    // that were kept since the start
	Version   uint64    // rises with each change of the view
	Complete  string    // how much of what the broker retains is there
}

// Status is how the watching goes now.
func (w *Watcher) Status() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.status
	if w.fleet != nil {
		s.Complete = w.fleet.Incomplete()
	}
	return s
}

// View lets f look at the fleet, which is empty before the broker was reached. F
// must not keep it, and nothing is taken in meanwhile.
func (w *Watcher) View(f func(*fleet.Fleet)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fleet == nil {
		w.fleet = fleet.New()
	}
	f(w.fleet)
}

// Changed is closed when the view or the status changes.
func (w *Watcher) Changed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.changed == nil {
		w.changed = make(chan struct{})
	}
	return w.changed
}

// State is the device's: stale where it says online and nothing came of it for too
// long. Only View's function may ask.
func (w *Watcher) State(d *fleet.Device, now time.Time) string {
	last := w.status.Since
	if at := w.heard[d.ID]; at.After(last) {
		last = at
	}
	if d.Presence.Online && w.status.Connected && now.Sub(last) > w.patience() {
		return fleet.Stale
	}
	return d.State(false)
}

// Listened reports whether the watching goes on for so long that a device of which
// nothing came is stale. Only View's function may ask.
func (w *Watcher) Listened(now time.Time) bool {
	return w.status.Connected && now.Sub(w.status.Since) > w.patience()
}

func (w *Watcher) patience() time.Duration {
	if w.Silence > 0 {
		return w.Silence
	}
	return silence
}

// change changes the view or the status, and says so.
func (w *Watcher) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	w.status.Version++
	if w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
}

// Run watches until ctx ends. A broker that is lost is tried again and again.
func (w *Watcher) Run(ctx context.Context) error {
	for wait := again; ; {
		begun := time.Now()
		err := w.connect(ctx)
		if ctx.Err() != nil {
			return nil
		}
		w.Log.Warn("lost the broker, connecting again", "err", err)
		w.change(func() {
			if w.status.Connected || w.status.Since.IsZero() {
				w.status.Connected, w.status.Since = false, time.Now()
			}
			w.status.Broker = err.Error()
		})
		if time.Since(begun) > settled {
			wait = again
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
		wait = min(2*wait, longest)
	}
}

// kept are the filters of what goes through the session: all that is not said a
// second time.
func kept(root string) []string {
	return fleet.Filters(root, fleet.Live, fleet.Alerts, fleet.Statuses("+", "+"))
}

// connect watches over one pair of connections.
func (w *Watcher) connect(ctx context.Context) error {
	session, had, err := link.Resume(ctx, w.Link, w.Memory.Session(), kept(w.Link.Root)...)
	if err != nil {
		return err
	}
	defer session.Close()
	c, err := link.Connect(ctx, w.Link)
	if err != nil {
		return err
	}
	defer c.Close()
	f, err := w.read(ctx, c)
	if err != nil {
		return err
	}
	w.change(func() {
		w.fleet, w.client = f, c
		w.status.Connected, w.status.Since, w.status.Broker = true, time.Now(), ""
	})
	defer w.change(func() { w.client = nil })
	w.Log.Info("watching", "broker", w.Link.Broker, "devices", len(f.Devices()), "session kept", had)
	return w.follow(ctx, c, session)
}

// read takes in all that is retained.
func (w *Watcher) read(ctx context.Context, c *link.Client) (*fleet.Fleet, error) {
	var waiting []link.Message
	keep := func() error {
		err := w.keep(ctx, waiting)
		waiting = waiting[:0]
		return err
	}
	f := fleet.New()
	var failed error
	f.Tap = func(m link.Message) {
		if waiting = append(waiting, m); len(waiting) >= atOnce && failed == nil {
			failed = keep()
		}
	}
	err := f.Add(ctx, c, fleet.Devices, fleet.Offers("+"), fleet.Statuses("+", "+"), fleet.Alerts, fleet.Rollouts("+"))
	f.Tap = nil
	if err == nil && failed == nil {
		failed = keep()
	}
	if err == nil {
		err = failed
	}
	if err == nil {
		err = w.Memory.Settle(ctx, time.Now(), func(device, name string) bool {
			_, raised := f.Device(device).Alerts[name]
			return raised
		})
	}
	return f, err
}

// follow takes in what comes until a connection is lost.
func (w *Watcher) follow(ctx context.Context, c, session *link.Client) error {
	for {
		b := batch{}
		if err := b.gather(ctx, c, session); err != nil {
			return err
		}
		if err := w.keep(ctx, b.keep); err != nil {
			return err
		}
		for _, m := range b.keep {
			m.Ack()
			if w.Notice != nil {
				w.Notice(m)
			}
		}
		w.change(func() {
			now := time.Now()
			for _, m := range b.show {
				w.fleet.Apply(m)
				if m.Topic.Device != "" && !m.Retained {
					w.hear(m.Topic.Device, now)
				}
			}
		})
	}
}

func (w *Watcher) hear(device string, now time.Time) {
	if w.heard == nil {
		w.heard = map[string]time.Time{}
	}
	w.heard[device] = now
}

// A batch is what is kept by one commit, and what of it the view is to know.
type batch struct{ keep, show []link.Message }

// gather waits for a message, and takes those that come close behind.
func (b *batch) gather(ctx context.Context, c, session *link.Client) error {
	var end <-chan time.Time
	for len(b.keep) < atOnce {
		select {
		case m := <-c.Feed():
			b.show = append(b.show, m)
			if p := m.Topic.Part; p != "jobs" && p != "alerts" { // they come by the session, too
				b.keep = append(b.keep, m)
			}
		case m := <-session.Feed():
			b.keep = append(b.keep, m)
			if m.Topic.Part == "health" {
				b.show = append(b.show, m)
			}
		case err := <-c.Lost():
			return fmt.Errorf("the connection broke: %w", err)
		case err := <-session.Lost():
			return fmt.Errorf("the connection of the session broke: %w", err)
		case <-end:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if end == nil {
			end = time.After(linger)
		}
	}
	return nil
}

// keep hands messages to the memory, again and again while that cannot take them:
// nothing is acknowledged before, so the broker keeps them meanwhile.
func (w *Watcher) keep(ctx context.Context, all []link.Message) error {
	if len(all) == 0 {
		return nil
	}
	for wait := again; ; wait = min(2*wait, longest) {
		err := w.Memory.Take(ctx, time.Now(), all)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil {
			w.kept(len(all))
			return nil
		}
		w.Log.Error("what came cannot be kept, trying again", "err", err)
		w.change(func() { w.status.Database = err.Error() })
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (w *Watcher) kept(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status.Database = ""
	w.status.Messages += uint64(n)
}

// Publish sends a retained message, and lets the view know it before the broker
// brings it back.
func (w *Watcher) Publish(ctx context.Context, to dialect.Topic, payload []byte) error {
	w.mu.Lock()
	c := w.client
	w.mu.Unlock()
	if c == nil {
		return errors.New("nothing was sent: the broker is not connected")
	}
	if err := c.Publish(ctx, to, payload); err != nil {
		return err
	}
	w.change(func() { w.fleet.Apply(link.Message{Topic: to, Payload: payload}) })
	return nil
}
