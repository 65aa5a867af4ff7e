package fleet

import (
	"context"
	"fmt"
	"slices"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
)

// maxExact is how many topics are asked for by name, which takes a broker a second
// or two.
const maxExact = 20000

// end is how many messages mosquitto gives for a wildcard with QoS 1 unless it is
// told otherwise, whatever there is: no fleet has just so many devices by chance.
const end = 1020

// readings is how often all is read, at most, from a broker that drops some of it.
const readings = 4

// again asks for what is missing. Where anything was, all is read once more: who
// drops one part of a device's messages may have dropped another device whole.
func (f *Fleet) again(ctx context.Context, c *link.Client, filters []string) error {
	for range readings {
		before := f.found
		if err := f.settle(ctx, c); err != nil {
			return err
		}
		if f.found == before {
			return nil
		}
		if err := f.askFor(ctx, c, filters); err != nil {
			return err
		}
	}
	return nil
}

// settle asks by name for what must be there by what else was read. A broker that
// drops some of what is retained rarely drops all that one device has left.
func (f *Fleet) settle(ctx context.Context, c *link.Client) error {
	state, facts := f.asked[dialect.Topic{Device: "+", Part: "state"}], f.asked[dialect.Topic{Device: "+", Part: "facts"}]
	jobs := f.asked[dialect.Topic{Device: "+", Part: "jobs", Name: "+"}] && f.asked[dialect.Topic{To: "all", Name: "+"}]
	var topics []string
	want := func(d *Device, part, name string) {
		topics = append(topics, dialect.Topic{Device: d.ID, Part: part, Name: name}.Below(c.Root()))
	}
	for _, d := range f.devices {
		switch {
		case state && !d.hasState && d.Said():
			want(d, "state", "")
		case facts && d.hasState && len(d.Facts) == 0:
			want(d, "facts", "")
		}
		if jobs && d.hasState && len(d.Jobs) == 0 && len(f.offers) > 0 {
			want(d, "jobs", "+")
		}
	}
	return f.askFor(ctx, c, topics)
}

// askFor reads topics by name, as many as a broker bears.
func (f *Fleet) askFor(ctx context.Context, c *link.Client, topics []string) error {
	if len(topics) > maxExact {
		f.missing += len(topics) - maxExact
		topics = topics[:maxExact]
	}
	if len(topics) == 0 {
		return nil
	}
	return c.ReadExactly(ctx, func(m link.Message) {
		if m.Retained && f.isNews(m) {
			f.found++
		}
		f.Apply(m)
	}, topics...)
}

// isNews reports whether nothing was known of what the message is about.
func (f *Fleet) isNews(m link.Message) bool {
	d := f.Device(m.Topic.Device)
	switch m.Topic.Part {
	case "state":
		return !d.hasState
	case "facts":
		return len(d.Facts) == 0
	case "jobs":
		_, known := d.Jobs[m.Topic.Name]
		return !known
	}
	return false
}

const remedy = "at mosquitto set max_queued_messages 0; 'ratchet broker check' measures what yours does"

// Incomplete says why what was read may lack something, and what to do. It is empty
// where nothing shows that anything is missing.
func (f *Fleet) Incomplete() string {
	states, silent := 0, 0
	for _, d := range f.devices {
		switch {
		case d.hasState:
			states++
		case len(d.Jobs) > 0 && len(d.Facts) == 0:
			silent++
		}
	}
	switch {
	case f.left > 0:
		return fmt.Sprintf("%d of the messages were left out, which no honest device sends", f.left)
	case f.missing > 0:
		return fmt.Sprintf("the broker dropped more than %d of its retained messages: %s", f.missing, remedy)
	case silent > 0 && f.asked[dialect.Topic{Device: "+", Part: "state"}]:
		return fmt.Sprintf("of %d devices only what they reported of jobs came: %s, or forget them", silent, remedy)
	case states == end:
		return fmt.Sprintf("perhaps, for exactly %d devices came, and that is where mosquitto stops: %s", states, remedy)
	}
	return ""
}

// Complete says that what was read is all that the broker keeps, or why it may not
// be. What is "10 devices", say.
func (f *Fleet) Complete(what string) string {
	if why := f.Incomplete(); why != "" {
		return what + ", incomplete: " + why
	}
	if f.found > 0 {
		return fmt.Sprintf("%s, complete; the broker dropped %d of its retained messages, which were asked for again: %s", what, f.found, remedy)
	}
	return what + ", complete"
}

// HalfCleared names devices of which some was cleared and some was left.
func (f *Fleet) HalfCleared() []string {
	if !f.asked[dialect.Topic{Device: "+", Part: "state"}] || !f.asked[dialect.Topic{Device: "+", Part: "facts"}] {
		return nil
	}
	var ids []string
	for _, d := range f.devices {
		if d.Said() && (!d.hasState || len(d.Facts) == 0) {
			ids = append(ids, d.ID)
		}
	}
	slices.Sort(ids)
	return ids
}
