package process

import (
	"strings"

	"github.com/ratchetd/ratchet/executor/redact"
)

// Tail is a writer that keeps the last bytes written to it.
type Tail struct {
	Most int
	buf  []byte // up to twice as much, so that not every write moves it
	Cut  bool   // there was more
}

// Write implements io.Writer.
func (t *Tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	t.Cut = t.Cut || len(t.buf) > t.Most
	if len(t.buf) > 2*t.Most {
		t.buf = append(t.buf[:0], t.Last()...)
	}
	return len(p), nil
}

// Last is what is kept: at most Most bytes.
func (t *Tail) Last() []byte { return t.buf[max(0, len(t.buf)-t.Most):] }

// LastLine is the last line for people. Of one that was cut the first word is
// left out: it may be the end of a secret, and would not be known for one.
func (t *Tail) LastLine() string {
	text := strings.TrimSpace(strings.ToValidUTF8(string(t.Last()), ""))
	begin := strings.LastIndexByte(text, '\n') + 1
	text = strings.Map(redact.Printable, text[begin:])
	if t.Cut && begin == 0 {
		_, text, _ = strings.Cut(text, " ")
	}
	return text
}
