package main

import (
	"bytes"
	"io"
	"log/slog"
	"os"
)

// A logger's lines go to whoever keeps them with their level: to journald by
// sd-daemon's prefix, to procd, which takes no prefix, by the stream. Both note
// the time themselves. On a terminal lines are as slog makes them.
func (c *command) logger(level slog.Level, syslog bool) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	to := c.err
	journal := os.Getenv("JOURNAL_STREAM") != ""
	if journal || syslog {
		o.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
		to = leveled{out: c.out, err: c.err, prefix: journal}
	}
	return slog.New(withoutRepeats(slog.NewTextHandler(to, o)))
}

// leveled takes lines that begin with their level.
type leveled struct {
	out, err io.Writer
	prefix   bool
}

var levels = []struct{ sign, prefix string }{
	{"level=ERROR", "<3>"}, {"level=WARN", "<4>"}, {"level=INFO", "<6>"}, {"level=DEBUG", "<7>"},
}

// Write takes one line, as slog's handlers hand them out.
func (l leveled) Write(line []byte) (int, error) {
	for i, v := range levels {
		if !bytes.HasPrefix(line, []byte(v.sign)) {
			continue
		}
		to, text := l.err, line
		if l.prefix {
			text = append([]byte(v.prefix), line...)
		} else if i > 1 {
			to = l.out // procd logs stderr as errors
		}
		_, err := to.Write(text)
		return len(line), err
	}
	return l.err.Write(line)
}
