package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// A broker may cause as many warnings as it sends messages. Of one kind, which
// is the text of a line, so many are logged in a minute, and then how many more
// there were. A few are let through since they may be about different jobs.
const (
	repeatsMost = 8
	repeatsIn   = time.Minute
)

// repeats is a handler that counts warnings and errors of a kind that has been
// logged often.
type repeats struct {
	slog.Handler
	counts *counts // also of the handlers that With makes
}

type counts struct {
	to slog.Handler // for what they come to

	mu    sync.Mutex
	kinds map[string]*kind
}

// A kind is what was logged with one text in the minute that began with the
// first of them.
type kind struct{ logged, held int }

func withoutRepeats(h slog.Handler) slog.Handler {
	return repeats{h, &counts{to: h, kinds: map[string]*kind{}}}
}

func (h repeats) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn && h.hold(r) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// hold reports whether the line is only counted. The first that is starts the
// one timer that there is for its kind.
func (h repeats) hold(r slog.Record) bool {
	h.counts.mu.Lock()
	defer h.counts.mu.Unlock()
	k := h.counts.kinds[r.Message]
	if k == nil {
		k = &kind{}
		h.counts.kinds[r.Message] = k
		time.AfterFunc(repeatsIn, func() { h.counts.tell(r) })
	}
	if k.logged < repeatsMost {
		k.logged++
		return false
	}
	k.held++
	return true
}

// tell ends the minute of the kind that first belongs to.
func (c *counts) tell(first slog.Record) {
	c.mu.Lock()
	k := c.kinds[first.Message]
	delete(c.kinds, first.Message)
	c.mu.Unlock()
	if k.held == 0 {
		return
	}
	r := slog.NewRecord(time.Now(), first.Level, first.Message, 0)
	r.AddAttrs(slog.String("err", fmt.Sprintf("%d more like this within a minute were not logged", k.held)))
	_ = c.to.Handle(context.Background(), r) // a log that cannot be written has nobody to tell
}

func (h repeats) WithAttrs(a []slog.Attr) slog.Handler {
	return repeats{h.Handler.WithAttrs(a), h.counts}
}

func (h repeats) WithGroup(name string) slog.Handler {
	return repeats{h.Handler.WithGroup(name), h.counts}
}
