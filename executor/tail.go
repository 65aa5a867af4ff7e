package executor

import (
	"bytes"
	"strings"
	"sync"
)

// MaxOutput bounds what is kept of a step's output, and its result.
const MaxOutput = 4 << 10

// A tail keeps the last MaxOutput bytes written to it. It is safe for
// concurrent use and never blocks.
type tail struct {
	mu  sync.Mutex
	buf []byte
	cut bool
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(p)
	if len(p) > MaxOutput {
		p, t.cut = p[len(p)-MaxOutput:], true
	}
	if over := len(t.buf) + len(p) - MaxOutput; over > 0 {
		t.buf, t.cut = append(t.buf[:0], t.buf[over:]...), true
	}
	t.buf = append(t.buf, p...)
	return n, nil
}

// String is the tail as valid UTF-8; where it was cut it begins with a whole rune.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.buf
	for i := 0; t.cut && i < 3 && len(b) > 0 && b[0]&0xC0 == 0x80; i++ {
		b = b[1:]
	}
	return strings.ToValidUTF8(string(bytes.ReplaceAll(b, []byte{0}, []byte("\uFFFD"))), "\uFFFD")
}
