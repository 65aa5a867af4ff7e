package link

import (
	"bytes"
	"context"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/ratchetd/ratchet/agent/dialect"
)

// A Sent is a message that is on its way; the zero value is one that could not be
// sent any more.
type Sent struct{ token mqtt.Token }

// Send sends messages and returns at once: await each, or let it be.
func (s *Session) Send(messages []dialect.Message) []Sent {
	var sent []Sent
	for _, m := range messages {
		sent = append(sent, Sent{s.conn.publish(m)})
	}
	return sent
}

// Await waits for the broker's answer to a message. An error says that the
// connection is of no more use.
func (s *Session) Await(ctx context.Context, sent Sent) error {
	return s.conn.answered(ctx, sent.token)
}

// Publish sends messages and waits until the broker has them all.
func (s *Session) Publish(ctx context.Context, messages []dialect.Message) error {
	for _, sent := range s.Send(messages) {
		if err := s.Await(ctx, sent); err != nil {
			return err
		}
	}
	return nil
}

// UpdateFacts tells facts that are not as they were told last, and returns those;
// nil where there is nothing to tell, or nobody to tell it to.
func (l *Link) UpdateFacts(now []byte) (before []byte) {
	s, told := l.Session(), l.facts.Load()
	if s == nil || told == nil || bytes.Equal(*told, now) {
		return nil
	}
	l.facts.Store(&now)
	if l.dialect().Connection().Recalls {
		signal(s.twin.stale) // they are told as a Revision of what the service holds
	} else {
		s.Send(l.dialect().Tell(dialect.Facts(now)))
	}
	return *told
}
