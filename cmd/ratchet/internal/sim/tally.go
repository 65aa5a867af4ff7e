package sim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/executor"
)

// A Tally is what an operator hears of a simulated fleet.
type Tally struct {
	Client *link.Client
	Plan   Plan // whose devices are listened to

	mu     sync.Mutex
	online map[string]bool
	jobs   map[string]*counted
}

// counted is what was heard of one job.
type counted struct {
	begun    time.Time // when it was first offered, or heard of
	messages int
	repeated int
	last     map[string]heard // by device
}

type heard struct {
	rev   uint64
	state executor.State
	done  time.Time // when it was first final
}

// parts are what a tally wants to hear.
var parts = []fleet.Part{
	fleet.Offers("+"), fleet.Statuses("+", "+"),
	func(root string) []string {
		return []string{dialect.Topic{Device: "+", Part: "state"}.Below(root)}
	},
}

// Listen takes in what comes until ctx ends. It fails where a device of the plan is
// online already, unless force says that this does not matter: two of one name would
// throw each other out.
func (t *Tally) Listen(ctx context.Context, force bool) error {
	t.online, t.jobs = map[string]bool{}, map[string]*counted{}
	there := fleet.New()
	take := func(m link.Message) {
		t.take(m)
		if t.Plan.has(m.Topic.Device) && m.Topic.Part == "state" {
			there.Apply(m)
		}
	}
	if err := t.Client.ReadRetained(ctx, take, fleet.Filters(t.Client.Root(), parts...)...); err != nil {
		return err
	}
	for _, d := range there.Devices() {
		if d.Presence.Online && !force {
			return fmt.Errorf("%s is online at this broker already: end the simulation that it belongs to, take another --root, or --force where it is long gone", d.ID)
		}
	}
	go func() {
		for {
			select {
			case m := <-t.Client.Feed():
				t.take(m)
			case <-t.Client.Lost():
			case <-ctx.Done():
				return
			}
		}
	}()
	return nil
}

func (t *Tally) take(m link.Message) {
	if m.Retained || len(m.Payload) == 0 {
		return // what an earlier simulation left
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch at := m.Topic; {
	case at.To != "":
		t.job(at.Name)
	case !t.Plan.has(at.Device):
	case at.Part == "state":
		d := fleet.New()
		d.Apply(m)
		t.online[at.Device] = d.Device(at.Device).Presence.Online
	case at.Part == "jobs":
		if s, err := dialect.ParseStatus(m.Payload); err == nil {
			t.job(at.Name).hear(at.Device, s)
		}
	}
}

func (t *Tally) job(id string) *counted {
	if t.jobs[id] == nil {
		t.jobs[id] = &counted{begun: time.Now(), last: map[string]heard{}}
	}
	return t.jobs[id]
}

func (c *counted) hear(device string, s dialect.JobStatus) {
	c.messages++
	h, known := c.last[device]
	if known && h.rev == s.Rev && h.state == s.State && s.State.Final() {
		c.repeated++
	}
	h.rev, h.state = s.Rev, s.State
	if s.State.Final() && h.done.IsZero() {
		h.done = time.Now()
	}
	c.last[device] = h
}

// Online is how many devices say that they are.
func (t *Tally) Online() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, up := range t.online {
		if up {
			n++
		}
	}
	return n
}

// Done is how many devices are done with a job.
func (t *Tally) Done(job string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.jobs[job] == nil {
		return 0
	}
	return len(t.jobs[job].spans())
}

// spans are how long each device took that is done, the shortest first.
func (c *counted) spans() []time.Duration {
	var list []time.Duration
	for _, h := range c.last {
		if !h.done.IsZero() {
			list = append(list, h.done.Sub(c.begun))
		}
	}
	slices.Sort(list)
	return list
}

// A JobReport is how one job went on a simulated fleet.
type JobReport struct {
	Job      string                 `json:"job"`
	Devices  int                    `json:"devices"` // that said something of it
	States   map[executor.State]int `json:"states"`
	Messages float64                `json:"messages"` // statuses, for each device
	Repeated int                    `json:"repeated"` // statuses that said nothing new: a connection came back
	T50      executor.Duration      `json:"t50"`      // until so many percent of those that are done were
	T95      executor.Duration      `json:"t95"`
	T100     executor.Duration      `json:"t100"`
	Lost     int                    `json:"lost"`    // ends that the devices know and the broker does not
	Doubled  int                    `json:"doubled"` // steps that were done again, and second ends
}

// reports are what was heard of each job, by its id.
func (t *Tally) reports() []JobReport {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []JobReport
	for id, c := range t.jobs {
		if len(c.last) == 0 {
			continue
		}
		r := JobReport{Job: id, Devices: len(c.last), States: map[executor.State]int{}, Repeated: c.repeated, Messages: float64(c.messages) / float64(len(c.last))}
		for _, h := range c.last {
			r.States[h.state]++
		}
		if spans := c.spans(); len(spans) > 0 {
			at := func(percent int) executor.Duration { return executor.Duration(spans[(len(spans)*percent+99)/100-1]) }
			r.T50, r.T95, r.T100 = at(50), at(95), at(100)
		}
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b JobReport) int { return strings.Compare(a.Job, b.Job) })
	return list
}
