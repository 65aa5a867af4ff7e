package process

import (
	"slices"
	"strings"
	"sync"

	"github.com/ratchetd/ratchet/executor/redact"
)

// Tail is a writer that keeps the last bytes written to it. It may take both outputs of
// a program, which come from goroutines of their own, and be read while they do.
type Tail struct {
	Most int
	mu   sync.Mutex
	buf  []byte // up to twice as much, so that not every write moves it
	cut  bool
}

// Write implements io.Writer.
func (t *Tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	t.cut = t.cut || len(t.buf) > t.Most
	if len(t.buf) > 2*t.Most {
		t.buf = append(t.buf[:0], t.last()...)
	}
	return len(p), nil
}

// Last is what is kept: at most Most bytes.
func (t *Tail) Last() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.last())
}

func (t *Tail) last() []byte { return t.buf[max(0, len(t.buf)-t.Most):] }

// Cut reports whether there was more.
func (t *Tail) Cut() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cut
}

// LastLine is the last line for people. Of one that was cut the first word is
// left out: it may be the end of a secret, and would not be known for one.
func (t *Tail) LastLine() string {
	text := strings.TrimSpace(strings.ToValidUTF8(string(t.Last()), ""))
	begin := strings.LastIndexByte(text, '\n') + 1
	text = strings.Map(redact.Printable, text[begin:])
	if t.Cut() && begin == 0 {
		_, text, _ = strings.Cut(text, " ")
	}
	return text
}
