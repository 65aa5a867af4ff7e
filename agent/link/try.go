package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/dialect"
)

// Try tries the broker by a connection of its own, which leaves nothing behind: a
// line for each thing that was found out, and what is wrong.
func Try(ctx context.Context, c *config.Config) ([]string, error) {
	d := c.Dialect()
	how := d.Connection()
	came, began := make(chan inbound, 64), time.Now()
	n, err := dial(ctx, c, opening{clean: how.Service}, time.Now, came) // no will: whoever only looks leaves nothing behind
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", c.Link.Broker, err)
	}
	defer n.close()
	lines := []string{fmt.Sprintf("connected to %s in %d ms", c.Link.Broker, time.Since(began).Milliseconds())}
	heard := make(chan dialect.Message, 64)
	go listenOnly(came, heard)
	more, err := tryTopics(ctx, c, n, d.Topics())
	lines = append(lines, more...)
	switch {
	case err == nil && how.Service:
		more, err = tryAsking(ctx, c, n, d, heard)
		lines = append(lines, more...)
	case err == nil && len(d.Topics().ReadBack) > 0:
		more, err = tryHearing(ctx, n, d, heard)
		lines = append(lines, more...)
	}
	if err != nil {
		err = c.ExplainDenied(err)
	}
	return lines, err
}

// listenOnly passes on what comes, as far as somebody wants it. It stays
// unacknowledged: it is the daemon's.
func listenOnly(came <-chan inbound, heard chan<- dialect.Message) {
	for m := range came {
		select {
		case heard <- m.Message:
		default:
		}
	}
}

// tryTopics asks for one topic after another: some services end the connection
// over one that they do not grant, and never say which.
func tryTopics(ctx context.Context, c *config.Config, n *conn, t dialect.Topics) (lines []string, err error) {
	denied := 0
	for _, f := range slices.Concat(t.Jobs, t.Own, t.ReadBack) {
		refused, err := n.subscribe(ctx, []string{f}, 1)
		if err != nil {
			return append(lines, "denied: reading "+f+dialect.Right(c.Service().Read, f)), fmt.Errorf("the connection was ended over the right to read %s: %w", f, err)
		}
		for range refused {
			lines = append(lines, "denied: reading "+f+dialect.Right(c.Service().Read, f))
			denied++
		}
	}
	if denied > 0 {
		return lines, fmt.Errorf("the broker denies %d subscriptions: give this device the right to read them", denied)
	}
	return append(lines, "every subscription was granted"), n.unsubscribe(ctx, t.ReadBack)
}

// tryHearing says something that nobody keeps, and wants to hear it: mosquitto
// grants every subscription and drops in silence what may not be said or read.
// With QoS 0, so that the session which the daemon takes up holds none of it.
func tryHearing(ctx context.Context, n *conn, d dialect.Dialect, heard <-chan dialect.Message) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, tryPatience)
	defer cancel()
	said := d.Tell(dialect.LogLine{Job: "check", Step: "check", Stream: "stdout", Text: "ratchetd check --connect"})[0]
	if denied, err := n.subscribe(ctx, []string{said.Topic}, 0); err != nil || len(denied) > 0 {
		return []string{"denied: reading " + said.Topic}, errors.Join(errors.New(Unheard), err)
	}
	if err := n.answered(ctx, n.publish(said)); err != nil {
		return []string{"denied: writing " + said.Topic}, fmt.Errorf("writing on %s: %w", said.Topic, err)
	}
	for {
		select {
		case m := <-heard:
			if m.Topic == said.Topic {
				if err := n.unsubscribe(ctx, []string{said.Topic}); err != nil {
					return nil, err
				}
				more, err := tryRefused(ctx, n, d)
				return append([]string{"what it says below its own topic is heard"}, more...), err
			}
		case <-ctx.Done():
			return []string{"denied: writing or reading " + said.Topic}, errors.New(Unheard)
		}
	}
}

// tryRefused says what some brokers, or proxies before them, hang up on: as much as the
// longest status has, and a topic of each sort. Nobody keeps any of it.
func tryRefused(ctx context.Context, n *conn, d dialect.Dialect) ([]string, error) {
	long := dialect.LogLine{Job: "check", Step: "check", Stream: "stdout", Text: strings.Repeat(".", dialect.MaxStatus)}
	for _, said := range []any{dialect.Health{json.RawMessage("[]")}, dialect.Data{Job: "check"}, long} {
		for _, m := range d.Tell(said) {
			if err := n.answered(ctx, n.publish(m)); err != nil {
				return []string{fmt.Sprintf("refused: %s with %d bytes", m.Topic, len(m.Payload))},
					fmt.Errorf("the broker hangs up on %s with %d bytes: let it, and any proxy, take all below that device and %d bytes a message (mosquitto: max_packet_size), or statuses are cut and the rest is dropped: %w",
						m.Topic, len(m.Payload), dialect.MaxStatus+1<<10, err)
			}
		}
	}
	return []string{"messages as long as the longest status are taken"}, nil
}

// tryAsking puts the question that a session begins with, and waits for its answer.
func tryAsking(ctx context.Context, c *config.Config, n *conn, d dialect.Dialect, heard <-chan dialect.Message) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, tryPatience)
	defer cancel()
	for _, m := range d.Hello() {
		if err := n.answered(ctx, n.publish(m)); err != nil {
			return []string{"denied: writing " + m.Topic + dialect.Right(c.Service().Write, m.Topic)}, fmt.Errorf("asking on %s: %w", m.Topic, err)
		}
	}
	for {
		select {
		case m := <-heard:
			for _, e := range d.Receive(m) {
				if o, ok := e.(dialect.Open); ok {
					return []string{fmt.Sprintf("the service answers: it has %d jobs for this device", len(o.Keys))}, nil
				}
			}
		case <-ctx.Done():
			return nil, errors.New("the service does not answer when it is asked for jobs")
		}
	}
}

// tryPatience is how long a service may take for its answer.
const tryPatience = 10 * time.Second
