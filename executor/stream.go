package executor

import (
	"bytes"
	"strings"
	"sync"
)

// A stream passes on what a step says while it runs. It passes whole lines, since
// a secret can be hidden only where it is whole.
type stream struct {
	hide func(text string) string
	emit func(text string)

	mu   sync.Mutex
	held []byte
}

// Write implements io.Writer. It never fails.
func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = append(s.held, p...)
	if whole := bytes.LastIndexAny(s.held, "\r\n") + 1; whole > 0 {
		s.pass(s.hide(string(s.held[:whole])))
		s.held = append(s.held[:0], s.held[whole:]...)
	}
	if len(s.held) > 2*MaxOutput { // a line without an end: pass all but what may be the beginning of a secret
		text := s.hide(string(s.held))
		keep := max(0, len(text)-MaxOutput)
		s.pass(text[:keep])
		s.held = append(s.held[:0], text[keep:]...)
	}
	return len(p), nil
}

// flush passes on what is held. It is called at the step's end.
func (s *stream) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.held) > 0 {
		s.pass(s.hide(string(s.held)))
	}
	s.held = nil
}

func (s *stream) pass(text string) {
	if text != "" {
		s.emit(strings.ToValidUTF8(text, "\uFFFD"))
	}
}
