package packet

import (
	"errors"
	"net"
	"sync"
	"time"
)

// A question is a packet of ours that the broker has not answered yet.
type question struct {
	answer byte // the type of the packet that answers it
	codes  int  // how many topics a SUBSCRIBE asked for
	size   int  // bytes of the packet
	sent   bool // the write has returned
}

const (
	// maxOpen and maxOpenBytes bound the questions: the library keeps each packet
	// until it is answered, so a broker that answers none would fill its memory.
	maxOpen      = 512
	maxOpenBytes = 1 << 20
)

// questions are those that wait for an answer, by packet id. The library frees
// an id when its answer comes: before that, it is not used for another one.
type questions struct {
	mu     sync.Mutex
	open   map[uint16]question
	bytes  int        // of the packets in open
	done   *sync.Cond // a write has returned, a question is answered, or no answer comes any more
	closed bool
}

var (
	errUnanswered = errors.New("the broker does not acknowledge what it is sent: check its load")
	errPieces     = errors.New("a write to the broker is not one whole packet")
	errQoS2       = errors.New("QoS 2 is not used here: ask for 1 or 0")
)

// note looks at a packet of ours for what may come back, and returns the id
// under which it will, or 0.
func (q *questions) note(b []byte) (id uint16, err error) {
	if len(b) < 2 {
		return 0, errPieces
	}
	head, rest, err := header(b)
	if err != nil || head+rest != len(b) {
		return 0, errPieces
	}
	body := b[head:]
	var asked question
	switch kind := b[0] >> 4; kind {
	case publish:
		return q.published(b[0]>>1&3, body, len(b))
	case subscribe:
		asked.answer = suback
		asked.codes, err = topics(body)
	case unsubscribe:
		asked.answer = unsuback
		if rest < 2 {
			err = errPieces
		}
	default:
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	asked.size = len(b)
	return q.add(number(body), asked)
}

func (q *questions) published(qos byte, body []byte, size int) (id uint16, err error) {
	switch {
	case qos == 0:
		return 0, nil
	case qos > 1:
		return 0, errQoS2
	case len(body) < 2 || len(body) < 4+int(number(body)):
		return 0, errPieces
	}
	return q.add(number(body[2+int(number(body)):]), question{answer: puback, size: size})
}

// topics counts what a SUBSCRIBE asks for.
func topics(body []byte) (n int, err error) {
	if len(body) < 2 {
		return 0, errPieces
	}
	for b := body[2:]; len(b) > 0; n++ {
		if len(b) < 3 || len(b) < 3+int(number(b)) {
			return 0, errPieces
		}
		topic := int(number(b))
		if b[2+topic] > 1 {
			return 0, errQoS2
		}
		b = b[3+topic:]
	}
	return n, nil
}

// add notes a question, once there is room for it.
func (q *questions) add(id uint16, asked question) (uint16, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.room(asked.size); err != nil {
		return 0, err
	}
	q.drop(id)
	q.open[id] = asked
	q.bytes += asked.size
	return id, nil
}

// room returns when a question of that size may be added; the lock is held.
func (q *questions) room(size int) error {
	full := func() bool { return len(q.open) >= maxOpen || len(q.open) > 0 && q.bytes+size > maxOpenBytes }
	if !full() {
		return nil
	}
	end := time.Now().Add(patience)
	defer time.AfterFunc(patience, q.done.Broadcast).Stop()
	for full() {
		switch {
		case q.closed:
			return net.ErrClosed
		case !time.Now().Before(end):
			return errUnanswered
		}
		q.done.Wait()
	}
	return nil
}

// drop takes a question away; the lock is held.
func (q *questions) drop(id uint16) {
	q.bytes -= q.open[id].size
	delete(q.open, id)
	q.done.Broadcast()
}

// close says that no answer comes any more.
func (q *questions) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.done.Broadcast()
}

// written says that the write of a question has returned.
func (q *questions) written(id uint16, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	asked := q.open[id]
	asked.sent = true
	q.open[id] = asked
	if err != nil {
		q.drop(id)
	}
	q.done.Broadcast()
}

// find returns the question that such a packet answers, if there is one. An
// answer to what is being written is looked at when that has returned: the
// library ends the same token from either side, which must not happen at once.
func (q *questions) find(kind byte, id uint16) (question, bool) {
	asked := q.open[id]
	for asked.answer == kind && !asked.sent {
		q.done.Wait()
		asked = q.open[id]
	}
	return asked, asked.answer == kind
}

// counted checks whether a SUBACK has a code for each topic that was asked for.
func (q *questions) counted(id uint16, codes int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	asked, ok := q.find(suback, id)
	switch {
	case !ok:
		return unasked(suback, id)
	case asked.codes != codes:
		return wrong("SUBACK with %d codes (topics asked for: %d)", codes, asked.codes)
	}
	return nil
}

// answered takes the answer of that type to the packet with that id, and reports
// whether one waits for it. A PUBACK for which none does is no violation: when a
// session is resumed, some brokers repeat those that got lost with the connection
// before, whose ids this one has not used or uses for something else.
func (q *questions) answered(kind byte, id uint16) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	_, ok := q.find(kind, id)
	if ok {
		q.drop(id)
	}
	return ok
}
