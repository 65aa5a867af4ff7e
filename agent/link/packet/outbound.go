package packet

import (
	"errors"
	"sync"
)

// A question is a packet of ours that the broker has not answered yet.
type question struct {
	answer byte // the type of the packet that answers it
	codes  int  // how many topics a SUBSCRIBE asked for
}

// questions are those that wait for an answer, by packet id. The library frees
// an id when its answer comes: before that, it is not used for another one.
type questions struct {
	mu   sync.Mutex
	open map[uint16]question
}

var (
	errPieces = errors.New("a write to the broker is not one whole packet")
	errQoS2   = errors.New("QoS 2 is not used here: ask for 1 or 0")
)

// note looks at a packet of ours for what may come back.
func (q *questions) note(b []byte) error {
	if len(b) < 2 {
		return errPieces
	}
	head, rest, err := header(b)
	if err != nil || head+rest != len(b) {
		return errPieces
	}
	kind, body := b[0]>>4, b[head:]
	switch {
	case kind == publish && b[0]&6 == 0:
		return nil
	case kind == publish && b[0]&6 != 2:
		return errQoS2
	case kind == publish:
		if len(body) < 2 || len(body) < 4+int(number(body)) {
			return errPieces
		}
		q.add(number(body[2+int(number(body)):]), question{answer: puback})
	case kind == subscribe:
		n, err := topics(body)
		if err != nil {
			return err
		}
		q.add(number(body), question{suback, n})
	case kind == unsubscribe && len(body) >= 2:
		q.add(number(body), question{answer: unsuback})
	}
	return nil
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

func (q *questions) add(id uint16, asked question) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.open == nil {
		q.open = map[uint16]question{}
	}
	q.open[id] = asked
}

// counted checks whether a SUBACK has a code for each topic that was asked for.
func (q *questions) counted(id uint16, codes int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch asked := q.open[id]; {
	case asked.answer != suback:
		return wrong("a SUBACK with id %d, under which no subscription waits", id)
	case asked.codes != codes:
		return wrong("a SUBACK with %d codes (topics asked for: %d)", codes, asked.codes)
	}
	return nil
}

// answered takes the answer of that type to the packet with that id.
func (q *questions) answered(kind byte, id uint16) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.open[id].answer != kind {
		return wrong("a %s with id %d, under which nothing waits for it", names[kind], id)
	}
	delete(q.open, id)
	return nil
}
