package report

import (
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

// Live output is told once a second at most, and what does not fit into that
// is dropped: a link may be paid by the byte, and a service by the message.
const (
	liveEvery = time.Second
	maxLines  = 64 << 10 // bytes that wait to be told
	maxLine   = 16 << 10 // bytes that are put together in one message
)

// line takes a piece of live output, together with the piece before it where
// that waits still. The lock is held.
func (t *Reporter) line(l executor.Live) {
	t.held += len(l.Text)
	next := dialect.LogLine{Job: l.Job, Step: l.Step, Attempt: l.Attempt, Seq: t.seq[l.Key], Stream: l.Stream}
	if n := len(t.lines); n > 0 {
		last := &t.lines[n-1]
		if next.Text = last.Text; *last == next && len(last.Text)+len(l.Text) <= maxLine {
			last.Text += l.Text
			return
		}
	}
	t.seq[l.Key]++
	next.Seq, next.Text = t.seq[l.Key], l.Text
	t.lines = append(t.lines, next)
}

// lineDue reports whether live output may be told now; else it will be later. The
// lock is held.
func (t *Reporter) lineDue() bool {
	left := liveEvery - time.Since(t.lined)
	if left > 0 && !t.later {
		t.later = true
		time.AfterFunc(left, t.Wake)
	}
	return left <= 0
}
