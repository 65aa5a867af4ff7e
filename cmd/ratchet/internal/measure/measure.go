// Package measure finds out what a broker really does with what Ratchet asks of it.
// It works below a topic where an operator may write and which nobody else reads, and
// leaves nothing there.
package measure

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
)

// A Row is one thing that was measured.
type Row struct {
	What   string `json:"what"`
	Found  string `json:"found"`
	Wanted string `json:"wanted"`
	Good   bool   `json:"good"`
	Remedy string `json:"-"` // the key in Remedies of what to set where it is not
}

const (
	quiet     = 1500 * time.Millisecond // nothing more comes after this
	keepAlive = 2                       // seconds, of the device that falls silent
	away      = 1500                    // messages for a device that is away: more than most queues hold
)

// A Check measures one broker. Messages is how many retained ones it tries.
type Check struct {
	Options  link.Options
	Messages int
	Say      func(string) // what goes on, for somebody who waits

	base string // the topic below which it works
	name string // of its clients
	op   *link.Probe
	rows []Row
	left map[string]bool // retained topics that may lie there
}

// Run measures everything, and cleans up also where it is cut short.
func (c *Check) Run(ctx context.Context) (rows []Row, err error) {
	c.name = "ratchet-check-" + strings.ToLower(rand.Text()[:10])
	c.base, c.left = c.Options.Root+"/rollouts/check/"+c.name, map[string]bool{}
	if c.op, err = link.Dial(ctx, c.Options, c.name, false); err != nil {
		return nil, err
	}
	defer c.op.Close()
	for _, step := range []struct {
		says string
		do   func(context.Context) error
	}{
		{"publishing retained messages", c.publish}, {"reading them back", c.readBack}, {"a long message", c.long},
		{"a device that falls silent", c.silence}, {"a device that is away", c.session}, {"subscriptions of other kinds", c.shared},
	} {
		c.Say(step.says)
		if err = step.do(ctx); err != nil {
			break
		}
	}
	c.Say("cleaning up")
	return c.rows, errors.Join(err, c.clean(context.WithoutCancel(ctx)))
}

func (c *Check) add(good bool, what, remedy, wanted, found string, args ...any) {
	c.rows = append(c.rows, Row{what, fmt.Sprintf(found, args...), wanted, good, remedy})
}

func (c *Check) topic(i int) string { return fmt.Sprintf("%s/retained/%06d", c.base, i) }

// publish keeps messages as fast as the broker takes them.
func (c *Check) publish(context.Context) error {
	begun := time.Now()
	var waits []func() error
	for i := range c.Messages {
		c.left[c.topic(i)] = true
		waits = append(waits, c.op.Send(c.topic(i), true, []byte(strings.Repeat("x", 200))))
	}
	for _, sent := range waits {
		if err := sent(); err != nil {
			return err
		}
	}
	rate := float64(c.Messages) / time.Since(begun).Seconds()
	c.add(rate > 100, "retained publishes taken", "rate", "100/s", "%.0f/s", rate)
	return nil
}

// readBack counts what comes for a wildcard, and where that is not all, what lies
// there.
func (c *Check) readBack(ctx context.Context) error {
	most := 0
	for _, qos := range []byte{0, 1} {
		p, err := link.Dial(ctx, c.Options, fmt.Sprintf("%s-%d", c.name, qos), false)
		if err != nil {
			return err
		}
		if err := p.Subscribe(c.base+"/retained/+", qos); err != nil {
			p.Close()
			return err
		}
		n := len(p.Got(ctx, quiet))
		p.Close()
		most = max(most, n)
		c.add(n == c.Messages, fmt.Sprintf("retained to one wildcard, QoS %d", qos), "retained", fmt.Sprintf("%d of %d", c.Messages, c.Messages), "%d of %d", n, c.Messages)
	}
	kept := most
	if most < c.Messages {
		var err error
		if kept, err = c.kept(ctx); err != nil {
			return err
		}
	}
	c.add(kept == c.Messages, "kept of what was published", "kept", fmt.Sprintf("%d of %d", c.Messages, c.Messages), "%d of %d", kept, c.Messages)
	return nil
}

// sampled is how many messages are asked for by name.
const sampled = 100

// kept asks for some of the messages by name, spread over all, and returns how many
// of all lie there by that.
func (c *Check) kept(ctx context.Context) (int, error) {
	p, err := link.Dial(ctx, c.Options, c.name+"-k", false)
	if err != nil {
		return 0, err
	}
	defer p.Close()
	there, tried := 0, 0
	for i := 0; i < c.Messages; i += max(1, c.Messages/sampled) {
		if err := p.Subscribe(c.topic(i), 0); err != nil {
			return 0, err
		}
		tried++
		there += len(p.Got(ctx, 100*time.Millisecond))
	}
	return c.Messages * there / tried, ctx.Err()
}

// long publishes the longest message that is ever sent.
func (c *Check) long(ctx context.Context) error {
	topic := c.base + "/long"
	c.left[topic] = true
	p, err := link.Dial(ctx, c.Options, c.name+"-l", false) // a broker may end the connection over it
	if err != nil {
		return err
	}
	defer p.Close()
	sent := p.Send(topic, true, make([]byte, dialect.MaxPayload))()
	if err := c.op.Subscribe(topic, 0); err != nil {
		return err
	}
	n := len(c.op.Got(ctx, quiet)[topic])
	c.add(sent == nil && n == dialect.MaxPayload, "the longest message", "size", fmt.Sprintf("%d bytes", dialect.MaxPayload), "%d bytes", n)
	return nil
}

// silence measures when the broker says that a device is gone.
func (c *Check) silence(ctx context.Context) error {
	topic := c.base + "/will"
	if err := c.op.Subscribe(topic, 1); err != nil {
		return err
	}
	gone, err := link.FallSilent(ctx, c.Options, c.name+"-w", topic, keepAlive)
	if err != nil {
		return err
	}
	defer gone.Close()
	begun := time.Now()
	for time.Since(begun) < 6*keepAlive*time.Second && ctx.Err() == nil {
		if len(c.op.Got(ctx, 200*time.Millisecond)) > 0 {
			took := time.Since(begun).Round(100 * time.Millisecond)
			c.add(true, "last will of a silent device", "will", "1.5 keep-alives", "after %v at a keep-alive of %d s", took, keepAlive)
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	c.add(false, "last will of a silent device", "will", "1.5 keep-alives", "none within %d s", 6*keepAlive)
	return ctx.Err()
}

// session measures what a broker keeps for a device that is away.
func (c *Check) session(ctx context.Context) error {
	filter := c.base + "/away/+"
	p, err := link.Dial(ctx, c.Options, c.name+"-s", true)
	if err != nil {
		return err
	}
	err = p.Subscribe(filter, 1)
	p.Close()
	if err != nil {
		return err
	}
	for i := range away {
		if err := c.op.Send(fmt.Sprintf("%s/away/%d", c.base, i), false, []byte("x"))(); err != nil {
			return err
		}
	}
	if p, err = link.Dial(ctx, c.Options, c.name+"-s", true); err != nil {
		return err
	}
	n := len(p.Got(ctx, quiet))
	p.Close()
	c.add(p.Resumed, "session of a device that is away", "session", "kept", "%s", map[bool]string{true: "kept", false: "lost"}[p.Resumed])
	c.add(n > 0, "queue of a device that is away", "queue", "some: offers are retained", "%d of %d", n, away)
	p, err = link.Dial(ctx, c.Options, c.name+"-s", false) // ends the session
	if err == nil {
		p.Close()
	}
	return err
}

// shared finds out about subscriptions that Ratchet can do without.
func (c *Check) shared(ctx context.Context) error {
	found := "refused"
	if c.op.Subscribe("$share/check/"+c.base+"/live", 1) == nil {
		if err := c.op.Send(c.base+"/live", false, []byte("x"))(); err != nil {
			return err
		}
		found = "granted, nothing came"
		if len(c.op.Got(ctx, quiet)) > 0 {
			found = "work"
		}
	}
	c.add(true, "shared subscriptions", "", "not needed", "%s", found)
	return nil
}

// clean takes away all that was kept, and looks whether it is gone.
func (c *Check) clean(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if !c.op.Up() {
		op, err := link.Dial(ctx, c.Options, c.name+"-c", false)
		if err != nil {
			return fmt.Errorf("messages are left below %s: %w", c.base, err)
		}
		defer op.Close()
		c.op = op
	}
	var waits []func() error
	for topic := range c.left {
		waits = append(waits, c.op.Send(topic, true, nil))
	}
	for _, sent := range waits {
		if err := sent(); err != nil {
			return fmt.Errorf("messages are left below %s: %w", c.base, err)
		}
	}
	p, err := link.Dial(ctx, c.Options, c.name+"-e", false)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := p.Subscribe(c.base+"/#", 0); err != nil {
		return err
	}
	if n := len(p.Got(ctx, quiet)); n > 0 {
		return fmt.Errorf("%d messages are left below %s: the broker does not clear them", n, c.base)
	}
	return nil
}
