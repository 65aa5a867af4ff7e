package enroll

import (
	"context"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/link"
	"github.com/ratchetd/ratchet/agent/local"
)

// Try tells how the link is: what the daemon says, if it is connected, for the
// broker lets nobody in twice under one id; else by a connection of its own.
func Try(ctx context.Context, c *config.Config) ([]string, error) {
	var before []string
	if l, runs := local.LinkOf(ctx, c.State); runs {
		before = []string{"the daemon runs; " + l.String()}
		if l.Connected {
			return before, nil
		}
	}
	lines, err := link.Try(ctx, c)
	return append(before, lines...), err
}
