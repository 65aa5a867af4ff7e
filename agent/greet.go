package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"syscall"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/store"
)

// greet does what is to be done first on a new connection: a new journal learns
// what this device once told, topics are subscribed to, and the device says
// that it is there.
func (a *Agent) greet(ctx context.Context, n *conn) error {
	if a.db.New() {
		if err := a.remember(ctx, n); err != nil {
			return err
		}
	}
	a.queue.hold()
	anew := a.subscribesAnew(n)
	if err := a.subscribe(ctx, n, anew); err != nil {
		return err
	}
	d := a.dialect()
	first := append(d.Hello(), d.Tell(dialect.Presence{Online: true, Since: stampOf(a.clock.stamp()), Agent: Version()})...)
	if anew {
		facts := a.facts()
		a.link.facts.Store(&facts)
		first = append(first, d.Tell(dialect.Facts(facts))...)
	}
	for _, m := range first {
		if err := answered(ctx, n.publish(m)); err != nil {
			return fmt.Errorf("publishing %s: %w", m.Topic, err)
		}
	}
	a.link.up(n)
	a.told.resend(!n.resumed, a.clock.now())
	a.alerts.resend()
	go a.hush(ctx, n, anew)
	return nil
}

// subscribesAnew tells whether all retained offers are to be fetched. Otherwise
// the session's subscriptions stand, and a metered link carries nothing twice.
func (a *Agent) subscribesAnew(n *conn) bool {
	a.link.mu.Lock()
	defer a.link.mu.Unlock()
	return a.link.stale || !n.resumed || time.Since(a.link.since) > awayTooLong
}

// subscribe leaves topics that are no longer ours and asks for those that are.
// A topic that the broker denies costs only what it would have brought.
func (a *Agent) subscribe(ctx context.Context, n *conn, anew bool) error {
	if !anew {
		return nil
	}
	t := a.dialect().Topics()
	topics := append(slices.Clone(t.Jobs), t.Own...)
	var had []string
	if saved, err := a.db.Get("topics"); err == nil && saved != nil {
		_ = json.Unmarshal(saved, &had) // at worst a topic too many is unsubscribed or not
	}
	gone := slices.DeleteFunc(slices.Clone(had), func(f string) bool { return slices.Contains(topics, f) })
	if err := n.unsubscribe(ctx, gone); err != nil {
		return err
	}
	a.link.watch()
	denied, err := n.subscribe(ctx, topics, 1)
	if err != nil {
		return err
	}
	for _, f := range denied {
		a.log.Warn("the broker denies this device the right to read a topic; what it brings is missing", "topic", f)
	}
	if slices.Equal(had, topics) {
		return nil
	}
	saved, err := json.Marshal(topics)
	if err != nil {
		return err
	}
	return a.db.Set("topics", saved)
}

// remember reads back what this device once told of its jobs. A new journal
// knows none of them, and would run every retained job again. It asks with QoS
// 0: of retained messages with QoS 1 mosquitto sends a thousand and drops the
// rest, without a word.
func (a *Agent) remember(ctx context.Context, n *conn) error {
	filters := a.dialect().Topics().ReadBack
	a.link.watch()
	if _, err := n.subscribe(ctx, filters, 0); err != nil {
		return fmt.Errorf("reading back what was told: %w", err)
	}
	if err := a.link.silence(ctx); err != nil {
		return err
	}
	if err := n.unsubscribe(ctx, filters); err != nil {
		return err
	}
	var past []store.Past
	for _, s := range a.link.recalled() {
		past = append(past, store.Past{ID: s.Job, State: s.State, Rev: s.Rev, Digest: s.Digest})
	}
	if err := a.journal.ReadBack(past); err != nil {
		return fmt.Errorf("keeping what was read back: %w", err)
	}
	a.told.wake()
	return nil
}

// hush lets new jobs begin once the job topics are quiet, for a cancel may be
// behind its job.
func (a *Agent) hush(ctx context.Context, n *conn, anew bool) {
	if a.link.silence(ctx) != nil || anew && a.fetchAll(ctx, n) != nil {
		return
	}
	a.link.mu.Lock()
	if ctx.Err() != nil { // the connection is gone: hushed is the next one's
		a.link.mu.Unlock()
		return
	}
	seen := a.link.seen
	a.link.seen = nil
	close(a.link.hushed)
	if anew {
		a.link.stale = false
	}
	a.link.mu.Unlock()
	a.queue.release()
	defer trim()
	if anew {
		if err := a.prune(seen); err != nil {
			a.log.Warn("the history was not pruned", "err", err)
		}
	}
}

// manyOffers is where a broker may have dropped retained messages: mosquitto
// queues a thousand for a subscription with QoS 1.
const manyOffers = 500

// fetchAll fetches the offers with QoS 0, which drops none, if there are many.
func (a *Agent) fetchAll(ctx context.Context, n *conn) error {
	a.link.mu.Lock()
	many := len(a.link.seen) >= manyOffers
	a.link.mu.Unlock()
	if !many {
		return nil
	}
	jobs := a.dialect().Topics().Jobs
	if _, err := n.subscribe(ctx, jobs, 0); err != nil {
		return err
	}
	if err := a.link.silence(ctx); err != nil {
		return err
	}
	if _, err := n.subscribe(ctx, jobs, 1); err != nil {
		return err
	}
	return a.link.silence(ctx)
}

// watch begins to note what the job topics bring.
func (l *link) watch() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen, l.past, l.last = map[string]bool{}, nil, time.Now()
}

// silence returns when nothing has come for a while.
func (l *link) silence(ctx context.Context) error {
	l.mu.Lock()
	l.last = time.Now()
	l.mu.Unlock()
	for {
		l.mu.Lock()
		left := quietFor - time.Since(l.last)
		l.mu.Unlock()
		if left <= 0 {
			return nil
		}
		select {
		case <-time.After(left):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (l *link) up(n *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn, l.since, l.err = n, time.Now(), nil
}

// readBack keeps what this device once told, for remember.
func (l *link) readBack(s dialect.JobStatus) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = time.Now()
	if s.State != executor.Rejected {
		l.past = append(l.past, s)
	}
}

func (l *link) recalled() []dialect.JobStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.past
}

// correct says again that this device is online when the broker holds another
// word: an old session's will may come late.
func (l *link) correct(a *Agent, p dialect.Presence) {
	if n := l.current(); n != nil && !p.Online {
		for _, m := range a.dialect().Tell(dialect.Presence{Online: true, Since: stampOf(a.clock.stamp()), Agent: Version()}) {
			n.publish(m)
		}
	}
}

// droppedByPeer tells an end that the broker made from one that the network made.
func droppedByPeer(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)
}

func stampOf(t time.Time) executor.Time {
	if t.IsZero() {
		return executor.Time{}
	}
	return executor.Time{Time: t.UTC().Truncate(time.Second)}
}
