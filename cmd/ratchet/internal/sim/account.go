package sim

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/executor"
)

// settleFor is how long the last words of devices may take.
const settleFor = 30 * time.Second

// Account is what was heard of all jobs, against what the devices know. The last
// words of some may still be under way: it looks again for a while.
func (f *Fleet) Account(ctx context.Context, t *Tally) ([]JobReport, error) {
	reports, kept := t.reports(), fleet.New()
	for end := time.Now().Add(settleFor); ; {
		if err := f.read(ctx, kept, reports); err != nil {
			return nil, err
		}
		lost := 0
		for i := range reports {
			reports[i].Lost, reports[i].Doubled = f.compare(reports[i].Job, kept)
			lost += reports[i].Lost
		}
		if lost == 0 || time.Now().After(end) {
			return reports, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(time.Second):
		}
	}
}

// read takes in what the broker has of the jobs, as somebody does who comes now. A
// broker may not bring all of it at once; so each time adds to what is kept.
func (f *Fleet) read(ctx context.Context, kept *fleet.Fleet, reports []JobReport) error {
	c, err := link.Connect(ctx, f.plan.Link)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, r := range reports {
		if err := c.ReadRetained(ctx, func(m link.Message) { kept.Apply(m) }, fleet.Filters(c.Root(), fleet.Statuses("+", r.Job))...); err != nil {
			return err
		}
	}
	return nil
}

// compare counts the devices whose end of a job the broker does not have, and what
// was done twice. Those that are away may have something to say yet.
func (f *Fleet) compare(job string, kept *fleet.Fleet) (lost, doubled int) {
	for _, d := range f.devices {
		d.truth.mu.Lock()
		r, ended := d.truth.ends[job]
		for _, n := range d.truth.steps[job] {
			doubled += max(0, n-1)
		}
		doubled += d.truth.doubled[job]
		d.truth.mu.Unlock()
		if s := kept.Device(d.id).Jobs[job]; ended && !f.away[d.id] && (s.State != r.State || s.Rev < r.Rev) {
			lost++
		}
	}
	return lost, doubled
}

// Memory is what this process takes, in bytes: heap and stacks in use, and what of
// it is resident.
func Memory() (used, resident uint64) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	var pages, in uint64
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		_, _ = fmt.Sscan(string(text), &pages, &in)
	}
	return m.HeapInuse + m.StackInuse, in * uint64(os.Getpagesize())
}

// Sweep takes away what the devices left at the broker, and the offers of these
// jobs to them.
func (f *Fleet) Sweep(ctx context.Context, jobs ...string) error {
	c, err := link.Connect(ctx, f.plan.Link)
	if err != nil {
		return err
	}
	defer c.Close()
	var left []dialect.Topic
	err = c.ReadRetained(ctx, func(m link.Message) {
		if f.plan.has(m.Topic.Device) && len(m.Payload) > 0 {
			left = append(left, m.Topic)
		}
	}, fleet.Filters(c.Root(), fleet.Devices, fleet.Alerts, fleet.Statuses("+", "+"))...)
	if err != nil {
		return err
	}
	for _, job := range jobs {
		left = append(left, dialect.Topic{To: Group, Name: job})
	}
	for _, at := range left {
		if err := c.Publish(ctx, at, nil); err != nil {
			return err
		}
	}
	return nil
}

// Group is whom jobs for all simulated devices are for.
const Group = "group/sim"

// Job is one of so many steps, for them.
func Job(id string, steps int, now time.Time) []byte {
	var list []string
	for i := range steps {
		list = append(list, fmt.Sprintf(`{"name":"step-%d","command":{"argv":["true"]}}`, i+1))
	}
	created, expires := executor.Time{Time: now.UTC().Truncate(time.Second)}, executor.Time{Time: now.UTC().Truncate(time.Second).Add(24 * time.Hour)}
	return fmt.Appendf(nil, `{"id":%q,"created":%q,"expires":%q,"steps":[%s]}`, id, created.Format(time.RFC3339), expires.Format(time.RFC3339), strings.Join(list, ","))
}

// Expected is how many devices will end a job for all, unless they cannot be
// reached: those that are away do not, and where a clock is years ahead the job is
// over.
func (f *Fleet) Expected() int {
	n := 0
	for _, d := range f.devices {
		if !f.away[d.id] && d.wrong <= 0 {
			n++
		}
	}
	return n
}
