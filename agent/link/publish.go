package link

import (
	"context"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"golang.org/x/sync/semaphore"

	"github.com/ratchetd/ratchet/agent/dialect"
)

// maxFlying is how many messages may be on their way at a time.
const maxFlying = 1 << 10

func newConn() *conn {
	return &conn{lost: make(chan error, 1), gone: make(chan struct{}), turns: semaphore.NewWeighted(maxFlying), flying: map[*dialect.Message]bool{}}
}

// publish sends m and returns as soon as that is done; wait for the token, which is nil
// where the connection ended. Of one that ends just then paho would wait for room to
// send as long as for a slow one, and hold up what is to be told on the next. A
// message that the broker is suspected not to take waits until no other is on its way,
// and holds up others until it is answered: so it shows which one it was.
func (n *conn) publish(m dialect.Message) mqtt.Token {
	if n.refused.drops(m) {
		return &mqtt.DummyToken{}
	}
	qos := byte(1)
	if m.Lossy {
		qos = 0
	}
	done := n.takeTurn(m)
	sent := make(chan mqtt.Token, 1)
	n.fly(&m, true)
	go func() {
		defer done()
		began := time.Now()
		a := &answer{Token: n.client.Publish(m.Topic, qos, m.Retain, m.Payload), done: make(chan struct{})}
		sent <- a
		if !n.arrived(a.Token) {
			return
		}
		if n.stalled(&m, began) {
			a.Token = n.client.Publish(m.Topic, qos, m.Retain, m.Payload)
			if !n.arrived(a.Token) {
				return
			}
		}
		if a.Error() == nil {
			n.fly(&m, false)
			n.refused.taken(m.Topic)
		}
		close(a.done)
	}()
	select {
	case t := <-sent:
		return t
	case <-n.gone:
		return nil
	}
}

// An answer is a token that is done when the broker has acknowledged a message for good.
type answer struct {
	mqtt.Token
	done chan struct{}
}

func (a *answer) Done() <-chan struct{} { return a.done }

// arrived waits for the answer to what was sent; false where the connection ended.
func (n *conn) arrived(t mqtt.Token) bool {
	select {
	case <-t.Done():
		return true
	case <-n.gone:
		return false
	}
}

// stalledFor is how long a broker acknowledges nothing before what it then acknowledges
// is doubted. A cluster that has lost a node gives up storing what is to be retained,
// and acknowledges it all the same: NATS after 5 s.
const stalledFor = 4 * time.Second

// stalled reports whether a message that was acknowledged is to be sent again, because
// the broker may have failed to retain it: nothing came from it for a while. Where
// something else is on its way to that topic, that may be newer.
func (n *conn) stalled(m *dialect.Message, began time.Time) bool {
	if m.Lossy {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	now, since := time.Now(), began
	if n.acked.After(since) {
		since = n.acked
	}
	n.acked = now
	for other := range n.flying {
		if other != m && other.Topic == m.Topic {
			return false
		}
	}
	return m.Retain && n.why == nil && now.Sub(since) >= stalledFor
}

// takeTurn waits until m may be on its way beside what is; no longer than for an answer.
func (n *conn) takeTurn(m dialect.Message) (done func()) {
	ctx, cancel := context.WithTimeout(context.Background(), replyTimeout)
	defer cancel()
	weight := int64(1)
	if n.refused.suspects(m.Topic) {
		weight = maxFlying
	}
	if n.turns.TryAcquire(weight) {
		return func() { n.turns.Release(weight) }
	}
	go func() {
		select {
		case <-n.gone:
			cancel()
		case <-ctx.Done():
		}
	}()
	if n.turns.Acquire(ctx, weight) != nil {
		return func() {}
	}
	return func() { n.turns.Release(weight) }
}

// fly notes that a message is on its way, or that it has arrived. What is sent to a
// connection that has ended is not: the end is not for it.
func (n *conn) fly(m *dialect.Message, flies bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if flies && n.why == nil {
		n.flying[m] = true
	} else {
		delete(n.flying, m)
	}
}

// unanswered is what was on its way when the connection ended, the longest of each topic.
func (n *conn) unanswered() map[string]dialect.Message {
	n.mu.Lock()
	defer n.mu.Unlock()
	longest := map[string]dialect.Message{}
	for m := range n.flying {
		if was, there := longest[m.Topic]; !there || len(m.Payload) > len(was.Payload) {
			longest[m.Topic] = *m
		}
	}
	return longest
}

// end is why the connection ended; nil while it stands.
func (n *conn) end() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.why
}
