package executor

import (
	"strings"
	"sync"
	"unicode/utf8"
)

// MaxOutput bounds what is kept of a step's output, and its result.
const MaxOutput = 4 << 10

// A tail keeps the last bytes written to it: twice what is told, so that a
// secret that is cut in two by its beginning is not told. It is safe for
// concurrent use and never blocks.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(p)
	if len(p) > 2*MaxOutput {
		p = p[len(p)-2*MaxOutput:]
	}
	if over := len(t.buf) + len(p) - 2*MaxOutput; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	t.buf = append(t.buf, p...)
	return n, nil
}

// text is the last MaxOutput bytes as valid UTF-8, with the secrets hidden.
func (t *tail) text(secrets []string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := Mask(strings.ToValidUTF8(strings.ReplaceAll(string(t.buf), "\x00", "\uFFFD"), "\uFFFD"), secrets)
	if len(text) <= MaxOutput {
		return text
	}
	text = text[len(text)-MaxOutput:]
	for len(text) > 0 && !utf8.RuneStart(text[0]) {
		text = text[1:]
	}
	return text
}
