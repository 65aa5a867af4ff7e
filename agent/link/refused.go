package link

import (
	"fmt"
	"sync"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
)

// Some brokers end the connection over a message that they do not take: one that is
// too long for them, or on a topic that somebody on the way forbids. MQTT 3.1.1 has no
// answer that says so. Sent first again on each connection, it would keep all that
// is behind it from ever being told.
const (
	refusedFor  = 6 * time.Hour // then what was refused is tried again as it is
	maxRefusals = 256           // topics that are suspected or refused

	suspectedOnce = 1 // hang-ups with which a message goes last, and alone
	refusedTwice  = 2 // with which it is cut, or dropped
	cutRefused    = 3 // with which only its last line is left
	allRefused    = 4 // with which nothing is
)

// refusals are the messages on which the broker has hung up, by topic. The zero value
// has none, and nil notes none.
type refusals struct {
	mu sync.Mutex
	of map[string]refusal
}

type refusal struct {
	hangs, size int
	since       time.Time
}

// at is what is known of a topic.
func (r *refusals) at(topic string) refusal {
	if r == nil {
		return refusal{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.of[topic]
	if time.Since(was.since) > refusedFor {
		delete(r.of, topic)
		return refusal{}
	}
	return was
}

// suspects reports whether a message goes behind all others, and alone.
func (r *refusals) suspects(topic string) bool { return r.at(topic).hangs >= suspectedOnce }

// drops reports whether a message is not sent any more.
func (r *refusals) drops(m dialect.Message) bool {
	hangs := r.at(m.Topic).hangs
	return hangs >= allRefused || hangs >= refusedTwice && !m.Vital
}

// hungUp notes a message that was on its way when the broker hung up, and returns how
// often it was by now.
func (r *refusals) hungUp(m dialect.Message) int {
	was := r.at(m.Topic)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == nil {
		r.of = map[string]refusal{}
	}
	if _, known := r.of[m.Topic]; !known && len(r.of) >= maxRefusals {
		r.dropOldest()
	}
	was.hangs, was.size, was.since = was.hangs+1, len(m.Payload), time.Now()
	r.of[m.Topic] = was
	return was.hangs
}

// dropOldest makes room for what the broker hangs up on now; the lock is held.
func (r *refusals) dropOldest() {
	var oldest string
	for topic, was := range r.of {
		if oldest == "" || was.since.Before(r.of[oldest].since) {
			oldest = topic
		}
	}
	delete(r.of, oldest)
}

// taken clears a message of a suspicion: the broker took it as it was.
func (r *refusals) taken(topic string) {
	if was := r.at(topic); was.hangs == 0 || was.hangs >= refusedTwice {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.of, topic)
}

// Hindered reports whether the broker has hung up on anything.
func (l *Link) Hindered() bool {
	l.refusals.mu.Lock()
	defer l.refusals.mu.Unlock()
	return len(l.refusals.of) > 0
}

// Suspects reports whether the broker has hung up on a message on that topic: it goes
// behind all others.
func (l *Link) Suspects(topic string) bool { return l.refusals.suspects(topic) }

// Room is how many bytes a status on that topic may have, or dialect.LastLine; 0 is any
// number.
func (l *Link) Room(topic string) int {
	switch was := l.refusals.at(topic); {
	case was.hangs >= cutRefused:
		return dialect.LastLine
	case was.hangs >= refusedTwice:
		return max(was.size/2, dialect.LastLine+1)
	}
	return 0
}

// blame notes what was on its way when the broker hung up. It reports whether that
// explains why: there was something which it had hung up on before.
func (l *Link) blame(c *conn) (explained bool) {
	if c.refused == nil || !droppedByPeer(c.end()) {
		return false
	}
	for _, m := range c.unanswered() {
		switch hangs := l.refusals.hungUp(m); {
		case hangs == refusedTwice:
			how := "it is dropped from now on"
			if m.Vital {
				how = "it is sent shorter from now on, where it can be, and dropped after two more"
			}
			l.Raise("refused-by-broker", "warning", fmt.Sprintf("the broker hangs up on %s (%d bytes): %s. Does it, or a proxy, forbid that topic, or messages of that size (mosquitto: max_packet_size)?",
				m.Topic, len(m.Payload), how))
			explained = true
		case hangs > refusedTwice:
			explained = true
		}
	}
	return explained
}
