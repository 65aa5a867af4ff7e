package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

const maxMethod = 128 << 10 // payload either way [methods]

// An answer is a device's, to a method.
type answer struct {
	status int
	body   json.RawMessage // nil: none
}

// Invoke calls a method of a device and waits for the answer, no longer than
// timeout; 0 is 30 s, as in the service [methods]. Nothing is kept for a device
// that is not connected.
func (h *Hub) Invoke(id, name string, payload []byte, timeout time.Duration) (int, json.RawMessage, error) {
	if timeout == 0 {
		timeout = 30 * time.Second
	}
	if len(payload) > maxMethod {
		return 0, nil, refuse(400, "ArgumentInvalid", "the payload is too large")
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

// Bounds of a call, in seconds [methods]. An older text has an hour for the
// answer.
const (
	minResponse = 5
	maxResponse = 300
	maxConnect  = 300
)

// check reports what is wrong with a call.
func (m Method) check() error {
	switch {
	case m.Name == "":
		return refuse(400, "ArgumentInvalid", "methodName is missing")
	case m.Timeout != 0 && (m.Timeout < minResponse || m.Timeout > maxResponse):
		return refuse(400, "ArgumentInvalid", "responseTimeoutInSeconds: %d: want %d to %d", m.Timeout, minResponse, maxResponse)
	case m.Connect < 0 || m.Connect > maxConnect:
		return refuse(400, "ArgumentInvalid", "connectTimeoutInSeconds: %d: want 0 to %d", m.Connect, maxConnect)
	}
	return nil
}

// Call calls a method of a device, which has the call's time to connect.
func (h *Hub) Call(id string, m Method) (int, json.RawMessage, error) {
	if err := m.check(); err != nil {
		return 0, nil, err
	}
	if _, err := h.Device(id); err != nil {
		return 0, nil, err
	}
	for end := time.Now().Add(time.Duration(m.Connect) * time.Second); ; time.Sleep(20 * time.Millisecond) {
		status, body, err := h.Invoke(id, m.Name, m.Payload, time.Duration(m.Timeout)*time.Second)
		if !errors.Is(err, ErrOffline) || time.Now().After(end) {
			return status, body, err
		}
	}
}

// takeAnswer hands an answer to whoever waits for it. A late or second one is
// ignored [methods]; status and body go through as they are. An answer needs no
// body.
func (h *Hub) takeAnswer(status, rid string, body []byte) bool {
	n, err := strconv.Atoi(status)
	if err != nil || len(body) > maxMethod || len(body) > 0 && !json.Valid(body) {
		return false
	}
	if f := h.fate("$iothub/methods/res/" + status + "/?$rid=" + rid); f.Lost {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if answers, ok := h.waiting[rid]; ok {
		select {
		case answers <- answer{n, append(json.RawMessage(nil), body...)}:
		default:
		}
	}
	return true
}
