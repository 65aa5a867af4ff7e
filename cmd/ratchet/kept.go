package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
)

const (
	// keptWithin is how long a broker may take until whoever subscribes gets what it
	// has just acknowledged. Clusters copy it from node to node meanwhile.
	keptWithin = 3 * time.Second
	maxAsked   = 100 // offers that are asked for again
)

// sayUnkept names those for whom the broker does not keep what was just offered. Some
// pass a message on and acknowledge it, and do not retain it: EMQX above so many a
// second, NATS at a node that has lost what it knows of the others by. Devices that
// are online have it then; those that connect later would never learn of it. It looks
// as such a one would, by a connection of its own.
func (s *session) sayUnkept(ctx context.Context, job string, to []string, payload []byte) {
	missing := map[dialect.Topic]bool{}
	for _, t := range to[:min(len(to), maxAsked)] {
		missing[dialect.Topic{To: t, Name: job}] = true
	}
	c, err := s.dial(ctx)
	if err != nil {
		return // it was sent; whoever watches it hears of the loss
	}
	defer c.Close()
	for end := time.Now().Add(keptWithin); len(missing) > 0 && time.Now().Before(end); {
		var topics []string
		for t := range missing {
			topics = append(topics, t.Below(c.Root()))
		}
		err := c.ReadExactly(ctx, func(m link.Message) {
			if m.Retained && bytes.Equal(m.Payload, payload) {
				delete(missing, m.Topic)
			}
		}, topics...)
		if err != nil {
			return
		}
	}
	for _, t := range to {
		if missing[dialect.Topic{To: t, Name: job}] {
			fmt.Fprintf(s.err, "ratchet: the broker does not keep what it was given for %s: whoever connects later does not learn of it: 'ratchet broker check' finds out why\n", t)
		}
	}
}
