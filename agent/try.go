package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// TryBroker tells how the link is: what the daemon says, if it runs, for the
// broker lets nobody in twice under one id; else by a connection of its own.
func TryBroker(ctx context.Context, c *Config) ([]string, error) {
	var s Status
	err := Call(ctx, SocketPath(c.State), Request{Do: "status"}, func(v json.RawMessage) error {
		return json.Unmarshal(v, &s)
	})
	if err == nil {
		return []string{"the daemon runs; " + linkWords(s.Link)}, nil
	}
	a := &Agent{}
	a.config.Store(c)
	d := a.dialect()
	how := d.Connection()
	how.Will = nil // whoever only looks leaves nothing behind
	inbox, began := make(chan inbound), time.Now()
	go func() { // what comes stays unacknowledged: it is the daemon's
		for range inbox {
		}
	}()
	n, err := dial(ctx, c, how, time.Now, inbox)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", c.Link.Broker, err)
	}
	defer n.close()
	lines := []string{fmt.Sprintf("connected to %s in %d ms", c.Link.Broker, time.Since(began).Milliseconds())}
	t := d.Topics()
	denied, err := n.subscribe(ctx, append(append(t.Jobs, t.Own...), t.ReadBack...), 1)
	if err != nil {
		return lines, err
	}
	for _, f := range denied {
		lines = append(lines, "denied: reading "+f)
	}
	if len(denied) > 0 {
		return lines, fmt.Errorf("the broker denies %d subscriptions: give this device the right to read them", len(denied))
	}
	return append(lines, "every subscription was granted"), n.unsubscribe(ctx, t.ReadBack)
}
