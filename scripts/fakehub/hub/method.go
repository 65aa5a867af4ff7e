package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

const maxMethod = 128 << 10 // payload either way [methods]

// What a service hears instead of an answer.
var (
	ErrOffline = errors.New("404: the device is not online") // [methods]
	ErrTimeout = errors.New("504: the device has not answered in time")
)

// An answer is a device's, to a method.
type answer struct {
	status int
	body   []byte
}

// Invoke calls a method of a device and waits for the answer, no longer than
// timeout; 0 is 30 s, as in the service [methods]. Nothing is kept for a device
// that is not connected.
func (h *Hub) Invoke(id, name string, payload []byte, timeout time.Duration) (int, json.RawMessage, error) {
	if timeout == 0 {
		timeout = 30 * time.Second
	}
	if len(payload) > maxMethod {
		return 0, nil, errors.New("400: the payload is too large")
	}
	cl := h.Client(id)
	if cl == nil {
		return 0, nil, ErrOffline
	}
	h.mu.Lock()
	h.rids++
	rid := fmt.Sprintf("%x", h.rids)
	answers := make(chan answer, 1)
	h.waiting[rid] = answers
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		delete(h.waiting, rid)
		h.mu.Unlock()
	}()
	topic := fmt.Sprintf("$iothub/methods/POST/%s/?$rid=%s", name, rid)
	f := h.fate(topic)
	time.Sleep(f.Delay)
	if !f.Lost && !send(cl, filterMethods, topic, payload) {
		return 0, nil, ErrOffline
	}
	if f.Twice {
		send(cl, filterMethods, topic, payload)
	}
	select {
	case a := <-answers:
		return a.status, a.body, nil
	case <-time.After(timeout):
		return 0, nil, ErrTimeout
	}
}

// takeAnswer hands an answer to whoever waits for it. A late or second one is
// ignored [methods]; status and body go through as they are.
func (h *Hub) takeAnswer(status, rid string, body []byte) bool {
	n, err := strconv.Atoi(status)
	if err != nil || len(body) > maxMethod || !json.Valid(body) {
		return false
	}
	if f := h.fate("$iothub/methods/res/" + status + "/?$rid=" + rid); f.Lost {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if answers, ok := h.waiting[rid]; ok {
		select {
		case answers <- answer{n, body}:
		default:
		}
	}
	return true
}
