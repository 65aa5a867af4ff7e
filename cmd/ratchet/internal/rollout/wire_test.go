package rollout

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/executor"
)

// A wire is a broker in memory, for tests in a bubble: what is published takes up
// to slow to arrive, and again to each of its ends.
type wire struct {
	mu       sync.Mutex
	random   *rand.Rand
	slow     time.Duration
	retained map[dialect.Topic][]byte
	ends     []*end
	done     <-chan struct{}
}

// An end is one connection to a wire.
type end struct {
	*wire
	queue chan link.Message
	feed  chan link.Message
}

func newWire(ctx context.Context, seed uint64, slow time.Duration) *wire {
	return &wire{random: rand.New(rand.NewPCG(seed, 1)), slow: slow, retained: map[dialect.Topic][]byte{}, done: ctx.Done()}
}

// connect is a new end, and all that is retained.
func (w *wire) connect() (Broker, []link.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := &end{w, make(chan link.Message, 1<<16), make(chan link.Message)}
	w.ends = append(w.ends, e)
	go e.deliver()
	return Broker{Publish: e.publish, Refresh: e.refresh, Feed: e.feed}, w.all()
}

func (w *wire) all() []link.Message {
	var list []link.Message
	for t, p := range w.retained {
		list = append(list, link.Message{Topic: t, Payload: p, Retained: true})
	}
	return list
}

func (w *wire) delay() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.slow == 0 {
		return 0
	}
	return time.Duration(w.random.Int64N(int64(w.slow)))
}

func (e *end) deliver() {
	for {
		select {
		case m := <-e.queue:
			time.Sleep(e.delay())
			select {
			case e.feed <- m:
			case <-e.done:
				return
			}
		case <-e.done:
			return
		}
	}
}

func (e *end) publish(ctx context.Context, to dialect.Topic, payload []byte) error {
	time.Sleep(e.delay())
	e.mu.Lock()
	if e.retained[to] = payload; len(payload) == 0 {
		delete(e.retained, to)
	}
	for _, other := range e.ends {
		other.queue <- link.Message{Topic: to, Payload: payload}
	}
	e.mu.Unlock()
	time.Sleep(e.delay())
	return context.Cause(ctx)
}

func (e *end) refresh() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, m := range e.all() {
		e.queue <- m
	}
}

// A crowd is a number of devices as far as a rollout can tell.
type crowd struct {
	broker Broker
	mu     sync.Mutex
	list   []*device
	offers []executor.Rollout // as they came, for all
}

// A device answers the job in its way, once.
type device struct {
	id     string
	facts  map[string]any
	away   bool
	ends   executor.State // with this
	after  time.Duration
	runs   int
	online bool
}

// newCrowd is n devices that succeed at once; the first tenth are canaries.
func newCrowd(b Broker, n int) *crowd {
	c := &crowd{broker: b}
	for i := range n {
		d := &device{id: fmt.Sprintf("gw-%03d", i), ends: executor.Succeeded, facts: map[string]any{"groups": []string{"g"}}}
		if i < max(1, n/10) {
			d.facts["tags"] = map[string]string{"ring": "canary"}
		}
		c.list = append(c.list, d)
	}
	return c
}

func (c *crowd) say(ctx context.Context, d *device, part, name string, v any) {
	text, _ := json.Marshal(v)
	_ = c.broker.Publish(ctx, dialect.Topic{Device: d.id, Part: part, Name: name}, text)
}

// arrive makes the devices known.
func (c *crowd) arrive(ctx context.Context) {
	for _, d := range c.list {
		c.say(ctx, d, "facts", "", d.facts)
		c.come(ctx, d, !d.away)
	}
}

func (c *crowd) come(ctx context.Context, d *device, online bool) {
	c.mu.Lock()
	d.online = online
	c.mu.Unlock()
	c.say(ctx, d, "state", "", dialect.Presence{Online: online})
}

// work answers offers until ctx ends.
func (c *crowd) work(ctx context.Context) {
	for {
		select {
		case m := <-c.broker.Feed:
			if m.Topic.To != "" {
				c.hear(ctx, m)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (c *crowd) hear(ctx context.Context, m link.Message) {
	o := fleet.ReadOffer(m.Payload)
	if o.Rollout != nil {
		c.mu.Lock()
		c.offers = append(c.offers, *o.Rollout)
		c.mu.Unlock()
	}
	view := fleet.New()
	for _, d := range c.list {
		text, _ := json.Marshal(d.facts)
		view.Apply(link.Message{Topic: dialect.Topic{Device: d.id, Part: "facts"}, Payload: text})
		c.mu.Lock()
		begins := d.online && d.runs == 0 && o.Err == nil && o.Concerns(m.Topic.To, view.Device(d.id), time.Now())
		if begins {
			d.runs++
		}
		c.mu.Unlock()
		if begins {
			go c.answer(ctx, d, o)
		}
	}
}

func (c *crowd) answer(ctx context.Context, d *device, o fleet.Offer) {
	s := dialect.JobStatus{State: executor.Running, Rev: 1, Digest: executor.Digest(o.Text), AcceptedAt: stamp(time.Now())}
	if d.after > 0 {
		c.say(ctx, d, "jobs", o.Job.ID, s)
		time.Sleep(d.after)
	}
	s.State, s.Rev = d.ends, 2
	c.say(ctx, d, "jobs", o.Job.ID, s)
}

// seen are the shares in which the job came to be offered; widened reports whether
// each held the one before.
func (c *crowd) seen() (shares []float64, widened bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	widened = true
	for i, r := range c.offers {
		widened = widened && (i == 0 || r.Percent >= c.offers[i-1].Percent)
		if i == 0 || r.Percent != c.offers[i-1].Percent {
			shares = append(shares, r.Percent)
		}
	}
	return shares, widened
}
