package main

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/executor"
)

// A fakeDevice is a device as far as an operator can tell: it tells what it is
// and answers every job in the same way.
type fakeDevice struct {
	id, does string
	groups   []string
	facts    map[string]any
	link     *link.Client
	once     sync.Once
	stopped  chan struct{}
}

func (d *fakeDevice) start(broker string) error {
	ctx := context.Background()
	d.stopped = make(chan struct{})
	var err error
	if d.link, err = link.Connect(ctx, link.Options{Broker: broker, Root: "ratchet/v1"}); err != nil {
		return err
	}
	if err := d.say("facts", "", d.facts); err != nil {
		return err
	}
	if err := d.say("state", "", dialect.Presence{Online: true, Agent: "v1.2.3"}); err != nil {
		return err
	}
	filters := []string{"ratchet/v1/jobs/all/+", "ratchet/v1/jobs/device/" + d.id + "/+"}
	for _, g := range d.groups {
		filters = append(filters, "ratchet/v1/jobs/group/"+g+"/+")
	}
	if err := d.link.Subscribe(ctx, filters...); err != nil {
		return err
	}
	go d.work()
	return nil
}

func (d *fakeDevice) stop() {
	d.once.Do(func() {
		close(d.stopped)
		d.link.Close()
	})
}

func (d *fakeDevice) say(part, name string, v any) error {
	payload, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return d.link.Publish(context.Background(), dialect.Topic{Device: d.id, Part: part, Name: name}, payload)
}

// work answers offers until the device is stopped. A publish that fails then
// is the stop's.
func (d *fakeDevice) work() {
	accepted := map[string]bool{}
	for {
		select {
		case m := <-d.link.Feed():
			o := fleet.ReadOffer(m.Payload)
			switch {
			case len(m.Payload) == 0:
			case o.Cancel && accepted[m.Topic.Name]:
				_ = d.say("jobs", m.Topic.Name, dialect.JobStatus{State: executor.Cancelled, Rev: 9})
			case !o.Cancel && concernsNow(o, m.Topic.To, d):
				accepted[m.Topic.Name] = true
				d.answer(o)
			}
		case <-d.stopped:
			return
		}
	}
}

func concernsNow(o fleet.Offer, to string, d *fakeDevice) bool {
	facts, _ := json.Marshal(d.facts)
	f := fleet.New()
	f.Apply(link.Message{Topic: dialect.Topic{Device: d.id, Part: "facts"}, Payload: facts})
	return o.Concerns(to, f.Device(d.id), time.Time{})
}

// said is what a step prints: what an echo says.
func said(step executor.Step) string {
	var with struct{ Argv []string }
	if json.Unmarshal(step.With, &with) == nil && len(with.Argv) > 1 && with.Argv[0] == "echo" {
		return with.Argv[1] + "\n"
	}
	return "done\n"
}

func (d *fakeDevice) answer(o fleet.Offer) {
	s := dialect.JobStatus{State: executor.Running, Rev: 1, Digest: executor.Digest(o.Text)}
	for _, step := range o.Job.Steps {
		s.Steps = append(s.Steps, dialect.StepStatus{Name: step.Name, State: executor.Pending})
	}
	if d.does == "reject" {
		s.State, s.Rev, s.Reason = executor.Rejected, 0, "policy: allow"
		_ = d.say("jobs", o.Job.ID, s)
		return
	}
	for i, step := range o.Job.Steps {
		s.Step = &dialect.CurrentStep{Index: i, Of: len(o.Job.Steps), Name: step.Name, Kind: step.Kind, Attempt: 1}
		s.Steps = slices.Clone(s.Steps)
		s.Steps[i].State, s.Steps[i].Attempts = executor.Running, 1
		s.Rev++
		_ = d.say("jobs", o.Job.ID, s)
		switch d.does {
		case "hang":
			return
		case "fail":
			s.State, s.Reason, s.Step = executor.Failed, "step "+step.Name+": exit code 1", nil
			s.Steps[i].State, s.Steps[i].Reason, s.Steps[i].Output = executor.Failed, "exit code 1", "no such file\n"
			_ = d.say("jobs", o.Job.ID, s)
			return
		}
		s.Steps[i].State, s.Steps[i].Output = executor.Succeeded, said(step)
	}
	s.State, s.Step = executor.Succeeded, nil
	_ = d.say("jobs", o.Job.ID, s)
}
