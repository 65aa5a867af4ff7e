package executor

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// MaxOutput bounds what is kept of a step's output, and its result.
const MaxOutput = 4 << 10

// A tail keeps the last bytes written to it: twice what is reported, so that a
// secret whose beginning was dropped is not reported in part. It is safe for
// concurrent use and never blocks.
type tail struct {
	mu  sync.Mutex
	buf []byte
	cut bool // there was more before
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(p)
	t.cut = t.cut || len(t.buf)+n > 2*MaxOutput
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
func (t *tail) text(hide func(string) string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := hide(strings.ToValidUTF8(strings.ReplaceAll(string(t.buf), "\x00", "\uFFFD"), "\uFFFD"))
	if t.cut {
		text = afterWord(text)
	}
	if len(text) <= MaxOutput {
		return text
	}
	text = text[len(text)-MaxOutput:]
	for len(text) > 0 && !utf8.RuneStart(text[0]) {
		text = text[1:]
	}
	return text
}

// afterWord leaves out the first word of a text that was cut: it may be the end
// of a secret, which is at most MaxOutput long. Hiding makes a text shorter, so
// the cut can lie within what is reported.
func afterWord(text string) string {
	start := text[:min(len(text), MaxOutput)]
	if i := strings.IndexFunc(start, unicode.IsSpace); i >= 0 {
		return text[i:]
	}
	return strings.ToValidUTF8(text[len(start):], "")
}
