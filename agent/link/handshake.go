package link

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
)

// handshake does what is to be done first on a new connection: a journal that is new,
// or older than what was told, learns what this device once told, topics are
// subscribed to, and the device says that it is there. It reports whether all
// retained offers are fetched.
func (s *Session) handshake(ctx context.Context) (whole bool, err error) {
	l := s.link
	how := l.dialect().Connection()
	whole = !s.conn.resumed || l.lacks()
	if whole && !how.Service {
		if err := s.compare(ctx); err != nil {
			return false, err
		}
	}
	remembers := l.DB.New()
	if remembers && !how.Recalls {
		if err := s.remember(ctx); err != nil {
			return false, err
		}
	}
	l.Handler.Hold()
	whole = whole || remembers
	if whole {
		if err := s.subscribe(ctx); err != nil {
			return false, err
		}
	}
	var first []dialect.Message
	if !how.Service {
		first = l.dialect().Hello()
	}
	first = append(first, l.presence()...)
	if whole {
		facts := l.Handler.Facts()
		l.facts.Store(&facts)
		if !how.Recalls {
			first = append(first, l.dialect().Tell(dialect.Facts(facts))...)
		}
	}
	for _, m := range first {
		began := time.Now()
		if err := s.conn.answered(ctx, s.conn.publish(m)); err != nil {
			return false, fmt.Errorf("publishing %s: %w", m.Topic, err)
		}
		l.NoteRTT(time.Since(began))
	}
	l.up(s)
	l.Handler.Connected(!s.conn.resumed && !remembers)
	return whole, nil
}

// subscribe leaves topics that are no longer ours and asks for those that are.
// A topic that the broker denies costs only what it would have brought.
func (s *Session) subscribe(ctx context.Context) error {
	t := s.link.dialect().Topics()
	topics := append(slices.Clone(t.Jobs), t.Own...)
	clean := s.link.dialect().Connection().Service
	var had []string
	if saved, err := s.link.DB.Get("topics"); err == nil && saved != nil && !clean {
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
		s.link.Log.Warn("the broker denies this device the right to read a topic; what it brings is missing", "topic", f)
	}
	if clean || slices.Equal(had, topics) {
		return nil
	}
	saved, err := json.Marshal(topics)
	if err != nil {
		return err
	}
	return s.link.DB.Set("topics", saved)
}

// remember reads back what this device once told of its jobs. A new journal
// knows none of them, and would run every retained job again. It asks with QoS
// 0: of retained messages with QoS 1 mosquitto sends a thousand and drops the
// rest, without a word. On a slow link it waits longer for the end of them.
func (s *Session) remember(ctx context.Context) error {
	filters := s.link.dialect().Topics().ReadBack
	if len(filters) == 0 {
		return s.link.Handler.Remember(nil)
	}
	s.watch()
	s.listenBack()
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
	if told := s.claimed(); s.link.DB.Lacks(told) {
		if err := s.link.DB.ReadsBack(told); err != nil {
			return err
		}
	}
	s.link.DB.Compared()
	if err := s.recall(); err != nil {
		return fmt.Errorf("keeping what was read back: %w", err)
	}
	return nil
}
