package fleet

import (
	"context"
	"fmt"
	"time"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
)

// Listen takes what devices say for that long, or until each that says it is online
// was heard.
func (f *Fleet) Listen(ctx context.Context, c *link.Client, span time.Duration) error {
	if err := c.Subscribe(ctx, Live(c.Root())...); err != nil {
		return err
	}
	silent := map[string]bool{}
	for _, d := range f.devices {
		if d.Presence.Online && !d.live {
			silent[d.ID] = true
		}
	}
	end := time.NewTimer(span)
	defer end.Stop()
	for len(silent) > 0 {
		select {
		case m := <-c.Feed():
			f.Apply(m)
			if d := f.devices[m.Topic.Device]; d != nil && d.live {
				delete(silent, d.ID)
			}
		case err := <-c.Lost():
			return fmt.Errorf("lost the broker while listening: %w", err)
		case <-end.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
