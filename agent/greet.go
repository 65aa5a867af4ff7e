package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/store"
)

// greet does what is to be done first on a new connection: a new journal learns
// what this device once told, topics are subscribed to, and the device says
// that it is there. It reports whether all retained offers are fetched.
func (s *session) greet(ctx context.Context) (anew bool, err error) {
	remembers := s.db.New()
	how := s.dialect().Connection()
	if remembers && !how.Recalls {
		if err := s.remember(ctx); err != nil {
			return false, err
		}
	}
	s.queue.hold()
	anew = remembers || !s.conn.resumed || s.link.lacks()
	if anew {
		if err := s.subscribe(ctx); err != nil {
			return false, err
		}
	}
	var first []dialect.Message
	if !how.Asks {
		first = s.dialect().Hello()
	}
	first = append(first, s.presence()...)
	if anew {
		facts := s.facts()
		s.link.facts.Store(&facts)
		first = append(first, s.dialect().Tell(dialect.Facts(facts))...)
	}
	for _, m := range first {
		began := time.Now()
		if err := s.conn.answered(ctx, s.conn.publish(m)); err != nil {
			return false, fmt.Errorf("publishing %s: %w", m.Topic, err)
		}
		s.link.rtt.Store(time.Since(began).Milliseconds())
	}
	s.link.up(s)
	s.backlog.retry()
	if how.Receipts {
		s.told.renew()
	} else {
		s.told.resend(!s.conn.resumed && !remembers, s.clock.Now())
	}
	s.alerts.resend()
	s.judgeCertificate() // it may have been renewed
	return anew, nil
}

// subscribe leaves topics that are no longer ours and asks for those that are.
// A topic that the broker denies costs only what it would have brought.
func (s *session) subscribe(ctx context.Context) error {
	t := s.dialect().Topics()
	topics := append(slices.Clone(t.Jobs), t.Own...)
	clean := s.dialect().Connection().Clean
	var had []string
	if saved, err := s.db.Get("topics"); err == nil && saved != nil && !clean {
		_ = json.Unmarshal(saved, &had) // at worst a topic too many is unsubscribed or not
	}
	gone := slices.DeleteFunc(slices.Clone(had), func(f string) bool { return slices.Contains(topics, f) })
	if err := s.conn.unsubscribe(ctx, gone); err != nil {
		return err
	}
	s.watch()
	denied, err := s.conn.subscribe(ctx, topics, 1)
	if err != nil {
		return err
	}
	for _, f := range denied {
		s.log.Warn("the broker denies this device the right to read a topic; what it brings is missing", "topic", f)
	}
	if clean || slices.Equal(had, topics) {
		return nil
	}
	saved, err := json.Marshal(topics)
	if err != nil {
		return err
	}
	return s.db.Set("topics", saved)
}

// remember reads back what this device once told of its jobs. A new journal
// knows none of them, and would run every retained job again. It asks with QoS
// 0: of retained messages with QoS 1 mosquitto sends a thousand and drops the
// rest, without a word. On a slow link it waits longer for the end of them.
func (s *session) remember(ctx context.Context) error {
	filters := s.dialect().Topics().ReadBack
	if len(filters) == 0 {
		return s.journal.ReadBack(nil)
	}
	s.watch()
	began := time.Now()
	denied, err := s.conn.subscribe(ctx, filters, 0)
	if err == nil && len(denied) > 0 {
		err = fmt.Errorf("the broker denies this device the right to read %s: without it a new journal would run old jobs again", strings.Join(denied, ", "))
	}
	if err != nil {
		return fmt.Errorf("reading back what was told: %w", err)
	}
	patience := min(max(10*time.Since(began), quietFor), 15*quietFor)
	if err := s.silence(ctx, patience); err != nil {
		return err
	}
	if err := s.conn.unsubscribe(ctx, filters); err != nil {
		return err
	}
	if err := s.journal.ReadBack(s.recalled()); err != nil {
		return fmt.Errorf("keeping what was read back: %w", err)
	}
	s.told.wake()
	return nil
}

func (s *session) recalled() []store.Past {
	s.mu.Lock()
	defer s.mu.Unlock()
	var past []store.Past
	for _, p := range s.past {
		past = append(past, store.Past{ID: p.Job, State: p.State, Rev: p.Rev, Digest: p.Digest})
	}
	return past
}
