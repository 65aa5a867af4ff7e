// Package fleet is what the retained messages say of devices, jobs and offers,
// as one view. Somebody feeds it messages, once or for as long as a job is
// watched, and asks it what is so. It prints nothing and decides nothing.
package fleet

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
)

// A Fleet is the view. It must not be used by two goroutines at once.
type Fleet struct {
	// Tap is given each message that is applied, and not left out; it may be nil.
	Tap func(link.Message)

	devices map[string]*Device
	offers  map[string]map[string]Offer // by job, then by whom it is for
	rolls   map[string][]byte           // rollouts as they are written, by job
	held    int                         // bytes that all of it takes, about
	most    int                         // of them
	left    int                         // messages that were left out
	notes   []string                    // of the first of them
	asked   map[dialect.Topic]bool      // what was read of all devices, with + for a name
	found   int                         // messages that came only when they were asked for by name
	missing int                         // messages that were not even asked for: too many
}

// New returns a view that knows nothing yet.
func New() *Fleet {
	return &Fleet{devices: map[string]*Device{}, offers: map[string]map[string]Offer{}, rolls: map[string][]byte{}, most: maxHeld, asked: map[dialect.Topic]bool{}}
}

// A Part of the retained messages gives the topic filters for it below a root.
type Part func(root string) []string

// Devices is what devices say of themselves: that they are online, and facts.
func Devices(root string) []string {
	return []string{dialect.Topic{Device: "+", Part: "state"}.Below(root), dialect.Topic{Device: "+", Part: "facts"}.Below(root)}
}

// Presences is that devices are online, or not.
func Presences(root string) []string {
	return []string{dialect.Topic{Device: "+", Part: "state"}.Below(root)}
}

// Offers is what is offered as one job, or with + as any.
func Offers(job string) Part {
	return func(root string) []string { return dialect.OfferFilters(root, job) }
}

// Alerts is what all devices raise.
func Alerts(root string) []string {
	return []string{dialect.Topic{Device: "+", Part: "alerts", Name: "+"}.Below(root)}
}

// Rollouts is the rollout of one job, or with + of any.
func Rollouts(job string) Part {
	return func(root string) []string {
		return []string{dialect.Topic{Part: dialect.Rollouts, Name: job}.Below(root)}
	}
}

// Statuses is what one device says of one job. A + stands for all of them.
func Statuses(device, job string) Part {
	return func(root string) []string {
		return []string{dialect.Topic{Device: device, Part: "jobs", Name: job}.Below(root)}
	}
}

// Filters joins the filters of some parts.
func Filters(root string, parts ...Part) []string {
	var filters []string
	for _, p := range parts {
		filters = append(filters, p(root)...)
	}
	return filters
}

// Own is all that one device says of itself, kept or not.
func Own(device string) Part {
	return func(root string) []string {
		base := dialect.Topic{Device: device, Part: "+"}.Below(root)
		return []string{base, base + "/+"}
	}
}

// Logs is the live output of a job on a device, which is not kept.
func Logs(device, job string) Part {
	return func(root string) []string {
		return []string{dialect.Topic{Device: device, Part: "logs", Name: job}.Below(root)}
	}
}

// Live is what devices say without its being kept: health.
func Live(root string) []string {
	return []string{dialect.Topic{Device: "+", Part: "health"}.Below(root)}
}

// Read takes all that is retained of these parts. What changes later waits in
// the client's feed.
func Read(ctx context.Context, c *link.Client, parts ...Part) (*Fleet, error) {
	f := New()
	return f, f.Add(ctx, c, parts...)
}

// Add takes all that is retained of these parts, too. What must be there by what
// else was read, and did not come, it asks for by name.
func (f *Fleet) Add(ctx context.Context, c *link.Client, parts ...Part) error {
	filters := Filters(c.Root(), parts...)
	for _, filter := range filters {
		if t, ok := dialect.ParseTopic(c.Root(), filter); ok {
			f.asked[t] = true
		}
	}
	if err := c.ReadRetained(ctx, func(m link.Message) { f.Apply(m) }, filters...); err != nil {
		return err
	}
	return f.again(ctx, c, filters)
}

// Apply applies what a message says. It returns a job's status if that is what
// the message is and if it is news. What no honest sender sends is left out.
func (f *Fleet) Apply(m link.Message) (news dialect.JobStatus, ok bool) {
	t := m.Topic
	why := unfit(m)
	switch {
	case why != "":
	case len(m.Payload) > 0 && f.held > f.most:
		why = fmt.Sprintf("all that came takes more than %d MB", f.most>>20)
	case t.To != "":
		f.applyOffer(t, m.Payload)
	case t.Part == dialect.Rollouts:
		f.applyRollout(t.Name, m.Payload)
	case t.Part == "state":
		var p dialect.Presence
		_ = json.Unmarshal(m.Payload, &p) // a state that cannot be read is offline
		d := f.reach(t.Device)
		d.Presence, d.hasState = p, len(m.Payload) > 0
	case t.Part == "facts":
		d := f.reach(t.Device)
		f.held += len(m.Payload) - len(d.Facts)
		d.applyFacts(m.Payload)
	case t.Part == "alerts":
		d := f.reach(t.Device)
		before := d.weight
		why = d.applyAlert(t.Name, m.Payload)
		f.held += d.weight - before
	case t.Part == "jobs":
		d := f.reach(t.Device)
		before := d.weight
		news, why = d.applyStatus(t.Name, m.Payload)
		f.held += d.weight - before
		ok = news.Job != ""
	case t.Part == "health":
		f.reach(t.Device).Health = lastSample(m.Payload)
	}
	if d := f.devices[t.Device]; d != nil && !m.Retained {
		d.live = true
	}
	switch {
	case why != "":
		f.leave(t, why)
	case f.Tap != nil:
		f.Tap(m)
	}
	return news, ok
}

// reach returns the device, which is new where nothing was known of it.
func (f *Fleet) reach(id string) *Device {
	d, ok := f.devices[id]
	if !ok {
		d = &Device{ID: id, Jobs: map[string]dialect.JobStatus{}, weights: map[string]int{}}
		f.devices[id] = d
		f.held += deviceWeight
	}
	return d
}

// Device returns what is known of one device. Where that is nothing, it is an
// unknown device without facts and jobs, and offline.
func (f *Fleet) Device(id string) *Device {
	if d, ok := f.devices[id]; ok {
		return d
	}
	return &Device{ID: id}
}

// All gives every device, in no order.
func (f *Fleet) All() iter.Seq[*Device] { return maps.Values(f.devices) }

// Devices lists all devices, by id.
func (f *Fleet) Devices() []*Device {
	return slices.SortedFunc(maps.Values(f.devices), func(a, b *Device) int { return cmp.Compare(a.ID, b.ID) })
}

// Offers returns what is offered as a job, by whom it is for: device/ID,
// group/NAME or all.
func (f *Fleet) Offers(job string) map[string]Offer { return f.offers[job] }

// Rollouts are the rollouts as they are written, by job. They must not be changed.
func (f *Fleet) Rollouts() map[string][]byte { return f.rolls }

func (f *Fleet) applyRollout(job string, payload []byte) {
	f.held += len(payload) - len(f.rolls[job])
	if len(payload) == 0 {
		delete(f.rolls, job)
		return
	}
	f.rolls[job] = bytes.Clone(payload)
}

func (f *Fleet) applyOffer(t dialect.Topic, payload []byte) {
	if was, there := f.offers[t.Name][t.To]; there {
		f.held -= was.weight()
	}
	if len(payload) == 0 {
		delete(f.offers[t.Name], t.To)
		return
	}
	if f.offers[t.Name] == nil {
		f.offers[t.Name] = map[string]Offer{}
	}
	o := ReadOffer(payload)
	f.offers[t.Name][t.To] = o
	f.held += o.weight()
	if id, ok := strings.CutPrefix(t.To, "device/"); ok {
		f.reach(id) // it may never have been there
	}
}
